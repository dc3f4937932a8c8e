"""Backends of ``chardev-add``."""

from __future__ import annotations

from typing import Final

from qmp_glue.guard.table.rows import Class, Group, Judge, Table

__all__ = ["TABLE"]

TABLE: Final = Table(
    (
        Group(
            Class.HARMLESS,
            "listens nowhere",
            """
            braille console dbus file hub memory msmouse mux null parallel pipe pty qemu-vdagent
            ringbuf serial spiceport spicevmc stdio testdev udp vc wctablet
            """,
        ),
        Group(
            Class.JUDGED,
            "a listening socket may take the place of the guard's",
            "socket",
            Judge.LISTEN,
        ),
    )
)
