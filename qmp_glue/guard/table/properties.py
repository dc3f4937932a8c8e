"""Properties that ``qom-set`` may change in a running QEMU, as ``TYPE.PROPERTY``.

``*`` stands for every type. All others may not: most cannot be changed once a device is made, and
of the rest ``realized``, ``enabled``, ``addr`` and the like move memory.
"""

from __future__ import annotations

from typing import Final

from qmp_glue.guard.table.rows import Class, Group, Judge, Row, Table

__all__ = ["TABLE", "find"]

_THREAD: Final = (
    "aio-max-batch poll-grow poll-max-ns poll-shrink poll-weight thread-pool-max thread-pool-min"
)


def _of(types: str, properties: str) -> str:
    return " ".join(f"{kind}.{name}" for kind in types.split() for name in properties.split())


TABLE: Final = Table(
    (
        Group(
            Class.HARMLESS,
            "how often a guest tells its statistics",
            _of(
                "virtio-balloon-ccw virtio-balloon-device virtio-balloon-pci"
                " virtio-balloon-pci-non-transitional virtio-balloon-pci-transitional",
                "guest-stats-polling-interval",
            ),
        ),
        Group(Class.HARMLESS, "how a thread waits", _of("iothread main-loop", _THREAD)),
        Group(Class.HARMLESS, "limits of disks", "throttle-group.limits"),
        Group(
            Class.HARMLESS,
            "limits of a crypto device",
            _of("cryptodev-backend-builtin cryptodev-vhost-user", "throttle-bps throttle-ops"),
        ),
        Group(
            Class.HARMLESS,
            "on or off for packets",
            _of(
                "filter-buffer filter-dump filter-mirror filter-redirector filter-replay"
                " filter-rewriter",
                "status",
            ),
        ),
        Group(
            Class.HARMLESS,
            "who may connect",
            "authz-list.policy authz-list.rules authz-list-file.filename authz-list-file.refresh"
            " authz-simple.identity",
        ),
        Group(
            Class.HARMLESS,
            "what a host does with a backend's pages, not where they are",
            _of(
                "memory-backend-file memory-backend-memfd memory-backend-ram memory-backend-shm",
                "dump merge",
            ),
        ),
        Group(Class.HARMLESS, "which disk or NIC boots", "*.bootindex"),
        Group(Class.HARMLESS, "plugs a USB device", "usb-bot.attached usb-storage.attached"),
        Group(Class.HARMLESS, "a warning to the guest", "nvme.smart_critical_warning"),
        Group(
            Class.JUDGED,
            "memory grows where the device is",
            _of("virtio-mem virtio-mem-ccw virtio-mem-pci", "requested-size"),
            Judge.MEMORY,
        ),
    )
)


def find(kind: str, name: str) -> Row | None:
    """Return the row of a property of a type; None when ``qom-set`` may not change it."""
    return TABLE.find(f"{kind}.{name}") or TABLE.find(f"*.{name}")
