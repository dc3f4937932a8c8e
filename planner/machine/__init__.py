"""What QEMU will do: one module a machine family, its tables citing QEMU's file and version."""
