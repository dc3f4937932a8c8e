"""What the host forbids against what the guest has, one check a module."""
