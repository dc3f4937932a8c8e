"""What the words of QEMU, libvirt and the kernel mean."""
