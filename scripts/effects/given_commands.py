"""The fewest arguments each QMP command takes in the scene."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from effects.given_backends import OLD_UNIX, UNIX, chardev
from effects.scene import Command, Experiment

__all__ = ["commands"]

_SINK = "exec:cat >/dev/null"


def _device(driver: str, **arguments: object) -> dict[str, object]:
    return {"driver": driver, "id": "new", **arguments}


#: Arguments of QMP commands where the schema's least will not do. A list of tuples is a sequence of
#: commands that ends in the one in question.
_COMMANDS: Final[Mapping[str, Sequence[Mapping[str, object]]]] = {
    "add_client": [{"protocol": "vnc", "fdname": "nobody"}],
    "balloon": [{"value": 128 << 20}],
    "block-export-add": [
        {"type": "nbd", "id": "new", "node-name": "b0"},
        {"type": "vhost-user-blk", "id": "new", "node-name": "b0", "addr": UNIX},
        {"type": "fuse", "id": "new", "node-name": "b0", "mountpoint": "raw"},
    ],
    "block_resize": [{"node-name": "b0", "size": 64 << 20}],
    "block-stream": [{"device": "q0", "job-id": "j"}],
    "block-commit": [{"device": "q0", "job-id": "j"}],
    "blockdev-add": [
        {"driver": "null-co", "node-name": "new"},
        {"driver": "file", "node-name": "new", "filename": "raw"},
        {"driver": "nbd", "node-name": "new", "server": {"type": "unix", "path": "nobody"}},
    ],
    "blockdev-backup": [{"device": "q0", "target": "b0", "sync": "full", "job-id": "j"}],
    "blockdev-create": [
        {"job-id": "j", "options": {"driver": "file", "filename": "new", "size": 4096}}
    ],
    "blockdev-mirror": [{"device": "q0", "target": "b0", "sync": "full", "job-id": "j"}],
    "blockdev-reopen": [{"options": [{"driver": "null-co", "node-name": "b0", "size": 64 << 20}]}],
    "blockdev-snapshot": [{"node": "q0", "overlay": "b0"}],
    "blockdev-snapshot-internal-sync": [{"device": "q0", "name": "s"}],
    "blockdev-snapshot-sync": [
        {"node-name": "q0", "snapshot-file": "new", "snapshot-node-name": "new"}
    ],
    "change-backing-file": [{"device": "q0", "image-node-name": "q0", "backing-file": "x"}],
    "chardev-add": [
        chardev("null"),
        chardev("socket", addr=OLD_UNIX, server=True, wait=False),
    ],
    "chardev-change": [
        {"id": "c1", "backend": chardev("null")["backend"]},
        {
            "id": "c1",
            "backend": chardev("socket", addr=OLD_UNIX, server=True, wait=False)["backend"],
        },
    ],
    "chardev-remove": [{"id": "c1"}],
    "chardev-send-break": [{"id": "c1"}],
    "client_migrate_info": [{"protocol": "spice", "hostname": "x", "port": 1}],
    "device_add": [_device("pc-dimm", memdev="m0"), _device("virtio-rng-pci", bus="slot0")],
    "device_del": [{"id": "tablet0"}],
    "device-list-properties": [{"typename": "e1000e"}],
    "device-sync-config": [{"id": "disk0"}],
    "display-reload": [{"type": "vnc", "tls-certs": True}],
    "display-update": [
        {"type": "vnc", "addresses": [{"type": "inet", "host": "127.0.0.1", "port": "5999"}]}
    ],
    "dump-guest-memory": [{"paging": False, "protocol": "file:dump"}],
    "dumpdtb": [{"filename": "dtb"}],
    "drive-backup": [{"device": "q0", "target": "new", "sync": "full", "job-id": "j"}],
    "drive-mirror": [{"device": "q0", "target": "new", "sync": "full", "job-id": "j"}],
    "eject": [{"id": "cd0"}],
    "expire_password": [{"protocol": "vnc", "time": "never"}],
    "human-monitor-command": [
        {"command-line": "info status"},
        {"command-line": "device_add pc-dimm,memdev=m0"},
    ],
    "input-send-event": [
        {"events": [{"type": "key", "data": {"down": True, "key": {"type": "qcode", "data": "a"}}}]}
    ],
    "job-cancel": [{"id": "j"}],
    "memsave": [{"val": 0, "size": 16, "filename": "mem"}],
    "migrate": [{"uri": _SINK}],
    "migrate-incoming": [{"uri": "unix:listening"}],
    "migrate-recover": [{"uri": "unix:listening"}],
    "migrate-set-capabilities": [
        {"capabilities": [{"capability": "auto-converge", "state": True}]}
    ],
    "migrate-set-parameters": [{"max-bandwidth": 1 << 20}],
    "nbd-server-add": [{"device": "b0"}],
    "nbd-server-start": [{"addr": OLD_UNIX}],
    "netdev_add": [
        {"type": "user", "id": "new"},
        {"type": "stream", "id": "new", "server": True, "addr": UNIX},
    ],
    "netdev_del": [{"id": "hub0"}],
    "object-add": [
        {"qom-type": "iothread", "id": "new"},
        {"qom-type": "memory-backend-ram", "id": "new", "size": 4 << 20},
        {"qom-type": "qtest", "id": "new", "chardev": "c0"},
    ],
    "object-del": [{"id": "m0"}],
    "pmemsave": [{"val": 0, "size": 16, "filename": "mem"}],
    "qom-get": [{"path": "/machine", "property": "type"}],
    "qom-list": [{"path": "/machine"}],
    "qom-list-get": [{"paths": ["/machine"]}],
    "qom-list-properties": [{"typename": "e1000e"}],
    "qom-set": [
        {"path": "/machine/peripheral/vm0", "property": "requested-size", "value": 128 << 20},
        {"path": "/machine/peripheral/slot0", "property": "realized", "value": False},
    ],
    "query-cpu-model-expansion": [{"type": "full", "model": {"name": "max"}}],
    "query-stats": [{"target": "vm"}],
    "ringbuf-read": [{"device": "ring0", "size": 16}],
    "ringbuf-write": [{"device": "ring0", "data": "x"}],
    "screendump": [{"filename": "screen"}],
    "send-key": [{"keys": [{"type": "qcode", "data": "a"}]}],
    "set_link": [{"name": "hub0", "up": False}],
    "set_password": [{"protocol": "vnc", "password": "x"}],
    "snapshot-delete": [{"job-id": "j", "tag": "s", "devices": ["q0"]}],
    "snapshot-load": [{"job-id": "j", "tag": "s", "vmstate": "q0", "devices": ["q0"]}],
    "snapshot-save": [{"job-id": "j", "tag": "s", "vmstate": "q0", "devices": ["q0"]}],
    "trace-event-get-state": [{"name": "qmp_*"}],
    "trace-event-set-state": [{"name": "virtio_notify", "enable": False}],
    "transaction": [{"actions": [{"type": "abort", "data": {}}]}, {"actions": []}],
    "x-blockdev-change": [{"parent": "q0"}],
    "x-blockdev-set-iothread": [{"node-name": "b0", "iothread": "io0"}],
    "x-debug-block-dirty-bitmap-sha256": [{"node": "q0", "name": "bm"}],
    "x-query-virtio-status": [{"path": "/machine/peripheral/rngdev0/virtio-backend"}],
    "x-query-virtio-queue-status": [
        {"path": "/machine/peripheral/rngdev0/virtio-backend", "queue": 0}
    ],
    "yank": [{"instances": []}],
    "xen-save-devices-state": [{"filename": "xen"}],
    "xen-load-devices-state": [{"filename": "xen"}],
}
#: Commands that come in front, so that the one in question has something to do.
_BEFORE: Final[Mapping[str, Sequence[Command]]] = {
    "balloon": [("device_add", {"driver": "virtio-balloon-pci", "bus": "slot0"})],
    "nbd-server-add": [("nbd-server-start", {"addr": OLD_UNIX})],
    "nbd-server-stop": [("nbd-server-start", {"addr": OLD_UNIX})],
    "block-export-add": [("nbd-server-start", {"addr": {"type": "unix", "data": {"path": "nbd"}}})],
    "migrate_cancel": [("migrate", {"uri": _SINK})],
    "snapshot-load": [
        ("snapshot-save", {"job-id": "k", "tag": "s", "vmstate": "q0", "devices": ["q0"]})
    ],
}
#: A last look at what only newer versions have.
_CPR_EXEC = (
    ("migrate-set-parameters", {"mode": "cpr-exec", "cpr-exec-command": ["/bin/sleep", "60"]}),
    ("migrate", {"uri": "file:state"}),
)


def commands(name: str, schema: Mapping[str, Mapping[str, Any]]) -> Iterator[Experiment]:
    """Yield what comes in front, and the command in question.

    :param schema: of ``query-qmp-schema``, by name.
    """
    before = _BEFORE.get(name, ())
    for arguments in _COMMANDS.get(name) or [_fewest(schema, schema[name]["arg-type"])]:
        yield before, [(name, arguments)]
    if name in {"migrate", "migrate-set-parameters"} and _has_cpr_exec(schema):
        yield (), _CPR_EXEC


def _has_cpr_exec(schema: Mapping[str, Mapping[str, Any]]) -> bool:
    return any("cpr-exec" in kind.get("values", ()) for kind in schema.values())


_BY_NAME: Final = {"device": "q0", "node": "q0", "node-name": "q0", "path": "/machine"}


def _fewest(schema: Mapping[str, Mapping[str, Any]], kind: str) -> dict[str, object]:
    """Return what a command must be given, made up from its schema."""
    arguments = {}
    for member in schema[kind].get("members", ()):
        if "default" not in member:
            arguments[member["name"]] = _value(schema, member["type"], member["name"])
    return arguments


def _value(schema: Mapping[str, Mapping[str, Any]], kind: str, name: str) -> object:
    told = schema[kind]
    match told["meta-type"]:
        case "builtin":
            plain = {"int": 0, "number": 0, "boolean": False, "null": None}
            return plain.get(told["json-type"], _BY_NAME.get(name, "new"))
        case "enum":
            return told["values"][0]
        case "array":
            return []
        case "alternate":
            return _value(schema, told["members"][0]["type"], name)
    return _fewest(schema, kind)
