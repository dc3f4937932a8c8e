"""Types of ``netdev_add``."""

from __future__ import annotations

from typing import Final

from qmp_glue.guard.table.rows import Class, Group, Judge, Table

__all__ = ["TABLE"]

TABLE: Final = Table(
    (
        Group(
            Class.HARMLESS,
            "carries packets",
            """
            af-xdp bridge hubport l2tpv3 netmap none passt tap user vde vhost-user
            """,
        ),
        Group(Class.JUDGED, "assigns a host's vDPA device", "vhost-vdpa", Judge.ASSIGN),
        Group(
            Class.JUDGED,
            "a listening socket may take the place of the guard's",
            "dgram nic socket stream",
            Judge.LISTEN,
        ),
    )
)
