"""A QEMU command line, read and written."""
