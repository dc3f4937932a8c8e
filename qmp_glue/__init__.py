"""Talk to a real QEMU: start one to read its map, apply a plan, guard a running VM."""
