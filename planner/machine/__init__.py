"""What QEMU will do: one folder a machine family, its tables citing QEMU's file and version."""
