"""A plan as what QEMU reads: a command line, QMP commands. Pure: nothing here talks to a QEMU."""
