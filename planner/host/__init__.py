"""What a host forbids: sysfs, pasted dumps and profile files, all read into one model."""
