"""The fewest members each object, chardev, netdev and property takes in the scene."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from effects.given_drivers import device_cases
from effects.scene import Command, Experiment

__all__ = [
    "OLD_UNIX",
    "UNIX",
    "chardev",
    "chardev_case",
    "netdev_case",
    "object_case",
    "property_cases",
]


def _socket(name: str) -> Command:
    address = {"type": "unix", "data": {"path": name}}
    data = {"addr": address, "server": True, "wait": False}
    return "chardev-add", {"id": name, "backend": {"type": "socket", "data": data}}


_TLS = {"endpoint": "server", "dir": ".", "verify-peer": False}
#: Members of ``object-add`` by type.
_OBJECT: Final[Mapping[str, Mapping[str, object]]] = {
    "acpi-generic-initiator": {"pci-dev": "screen", "node": 0},
    "acpi-generic-port": {"pci-bus": "pcie.0", "node": 0},
    "authz-list-file": {"filename": "acl"},
    "authz-simple": {"identity": "x"},
    "can-host-socketcan": {"if": "can9", "canbus": "can0"},
    "colo-compare": {"primary_in": "s1", "secondary_in": "s2", "outdev": "s3", "iothread": "io0"},
    "cryptodev-vhost-user": {"chardev": "c1"},
    "dbus-vmstate": {"addr": "unix:path=nobody"},
    "filter-buffer": {"netdev": "n0", "interval": 1000},
    "filter-dump": {"netdev": "n0", "file": "pcap"},
    "filter-mirror": {"netdev": "n0", "outdev": "c1"},
    "filter-redirector": {"netdev": "n0", "indev": "c1"},
    "filter-replay": {"netdev": "n0"},
    "filter-rewriter": {"netdev": "n0"},
    "input-barrier": {"name": "x"},
    "input-linux": {"evdev": "/dev/null"},
    "memory-backend-file": {"size": 4 << 20, "mem-path": "shared"},
    "memory-backend-memfd": {"size": 4 << 20},
    "memory-backend-ram": {"size": 4 << 20},
    "memory-backend-shm": {"size": 4 << 20},
    "memory-backend-epc": {"size": 4 << 20},
    "monitor-hmp": {"chardev": "c0"},
    "monitor-qmp": {"chardev": "c0"},
    "pr-manager-helper": {"path": "nobody"},
    "qtest": {"chardev": "c0"},
    "rng-egd": {"chardev": "c1"},
    "rng-random": {"filename": "/dev/urandom"},
    "secret": {"data": "x"},
    "secret_keyring": {"serial": 1},
    "sev-guest": {"cbitpos": 47, "reduced-phys-bits": 1},
    "sev-snp-guest": {"cbitpos": 51, "reduced-phys-bits": 1},
    "tls-creds-anon": _TLS,
    "tls-creds-psk": _TLS,
    "tls-creds-x509": _TLS,
    "throttle-group": {"x-iops-total": 10},
    "x-remote-object": {"fd": "1", "devid": "disk0"},
    "x-vfio-user-server": {"device": "disk0", "socket": {"type": "unix", "path": "vfu"}},
}


def object_case(kind: str) -> Experiment:
    """Return an ``object-add``."""
    # Null chardevs end QEMU 7.2 there.
    sockets = [_socket(name) for name in ("s1", "s2", "s3")] if kind == "colo-compare" else ()
    return sockets, [("object-add", {"qom-type": kind, "id": "new", **_OBJECT.get(kind, {})})]


#: Values for ``qom-set`` by ``TYPE.PROPERTY``: the object's path and value. What is at
#: ``peripheral/new`` or ``/objects/new`` is made first.
_PROPERTIES: Final[Mapping[str, tuple[str, object]]] = {
    "*.bootindex": ("/machine/peripheral/disk0", 3),
    "authz-simple.identity": ("/objects/new", "y"),
    "cryptodev-backend-builtin.throttle-bps": ("/objects/cry0", 1000),
    "cryptodev-backend-builtin.throttle-ops": ("/objects/cry0", 1000),
    "filter-buffer.status": ("/objects/new", "off"),
    "iothread.aio-max-batch": ("/objects/io0", 8),
    "iothread.poll-grow": ("/objects/io0", 2),
    "iothread.poll-max-ns": ("/objects/io0", 1000),
    "iothread.poll-shrink": ("/objects/io0", 2),
    "iothread.poll-weight": ("/objects/io0", 2),
    "iothread.thread-pool-max": ("/objects/io0", 32),
    "iothread.thread-pool-min": ("/objects/io0", 1),
    "memory-backend-ram.dump": ("/objects/m0", False),
    "memory-backend-ram.merge": ("/objects/m0", False),
    "nvme.smart_critical_warning": ("/machine/peripheral/new", 1),
    "throttle-group.limits": ("/objects/tg0", {"iops-total": 5}),
    "usb-bot.attached": ("/machine/peripheral/new", False),
    "virtio-balloon-pci.guest-stats-polling-interval": ("/machine/peripheral/new", 2),
    "virtio-mem-pci.requested-size": ("/machine/peripheral/vm0", 128 << 20),
}


def property_cases() -> Iterator[tuple[str, Experiment]]:
    """Yield ``TYPE.PROPERTY`` and a ``qom-set``."""
    for name, (path, value) in _PROPERTIES.items():
        kind, _, member = name.rpartition(".")
        before: list[Command] = []
        if path == "/objects/new":
            before.extend(object_case(kind)[1])
        elif path.endswith("/new"):
            _, _, choices = next(device_cases(kind, pci="usb" not in kind))
            before.append(("device_add", choices[0]))
        yield name, (before, [("qom-set", {"path": path, "property": member, "value": value})])


UNIX = {"type": "unix", "path": "listening"}
OLD_UNIX = {"type": "unix", "data": {"path": "listening"}}


def chardev(kind: str, **data: object) -> dict[str, object]:
    return {"id": "new", "backend": {"type": kind, "data": data}}


#: Data of a chardev's backend, and the members of ``netdev_add``, by type.
_CHARDEVS: Final[Mapping[str, Mapping[str, object]]] = {
    "dbus": {"name": "org.x"},
    "file": {"out": "out"},
    "hub": {"chardevs": ["c2"]},
    "mux": {"chardev": "c1"},
    "parallel": {"device": "/dev/null"},
    "pipe": {"device": "pipe"},
    "serial": {"device": "/dev/null"},
    "socket": {"addr": OLD_UNIX, "server": True, "wait": False},
    "spiceport": {"fqdn": "org.x"},
    "spicevmc": {"type": "vdagent"},
    "udp": {"remote": {"type": "inet", "data": {"host": "127.0.0.1", "port": "9"}}},
}
_NETDEVS: Final[Mapping[str, Mapping[str, object]]] = {
    "af-xdp": {"ifname": "none9"},
    "bridge": {"br": "none9"},
    "dgram": {"local": {"type": "unix", "path": "dg"}},
    "hubport": {"hubid": 1},
    "l2tpv3": {"src": "127.0.0.1", "dst": "127.0.0.1", "txsession": 1},
    "netmap": {"ifname": "none9"},
    "passt": {"path": "nobody"},
    "socket": {"listen": "127.0.0.1:0"},
    "stream": {"server": True, "addr": UNIX},
    "tap": {"ifname": "none9", "script": "no"},
    "vde": {"sock": "nobody"},
    "vhost-user": {"chardev": "c1"},
    "vhost-vdpa": {"vhostdev": "/dev/vhost-vdpa-0"},
}


def chardev_case(kind: str) -> Experiment:
    """Return a ``chardev-add``."""
    return (), [("chardev-add", chardev(kind, **_CHARDEVS.get(kind, {})))]


def netdev_case(kind: str) -> Experiment:
    """Return a ``netdev_add``."""
    return (), [("netdev_add", {"type": kind, "id": "new", **_NETDEVS.get(kind, {})})]
