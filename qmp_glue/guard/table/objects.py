"""Types of ``object-add``."""

from __future__ import annotations

from typing import Final

from qmp_glue.guard.table.rows import Class, Group, Judge, Table

__all__ = ["TABLE"]

TABLE: Final = Table(
    (
        Group(
            Class.HARMLESS,
            "memory that is in no map before a device takes it",
            """
            memory-backend-file memory-backend-memfd memory-backend-ram memory-backend-shm
            """,
        ),
        Group(
            Class.HARMLESS,
            "serves devices, disks, networks or threads",
            """
            can-bus can-host-socketcan colo-compare cryptodev-backend cryptodev-backend-builtin
            cryptodev-vhost-user dbus-display dbus-vmstate filter-buffer filter-dump filter-mirror
            filter-redirector filter-replay filter-rewriter input-barrier input-linux iothread
            main-loop pr-manager-helper rng-builtin rng-egd rng-random thread-context
            throttle-group
            """,
        ),
        Group(
            Class.HARMLESS,
            "who may connect, and how",
            """
            authz-list authz-list-file authz-simple secret secret_keyring tls-cipher-suites
            tls-creds-anon tls-creds-psk tls-creds-x509
            """,
        ),
        Group(
            Class.HARMLESS,
            "ties a NUMA node to a device or a bus",
            "acpi-generic-initiator acpi-generic-port",
        ),
        Group(
            Class.HARMLESS,
            "a door to /dev/iommu, through which a vfio device goes, which is judged",
            "iommufd",
        ),
        Group(
            Class.REFUSED,
            "a second monitor, which nobody guards",
            "monitor-hmp monitor-qmp",
            Judge.MONITOR,
        ),
        Group(
            Class.REFUSED,
            "raw writes to memory and ports: it moves BARs, switches memory on and off",
            "qtest",
            Judge.MONITOR,
        ),
        Group(
            Class.REFUSED,
            "part of a board: to be given at its start",
            "sev-guest sev-snp-guest tdx-guest",
        ),
        Group(Class.REFUSED, "makes a device another process's", "x-remote-object"),
    )
)
