"""The guard: a QMP server in front of QEMU's monitor that judges what would change the map."""
