"""The fewest arguments each command of the human monitor takes in the scene."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from effects.scene import Command, Experiment

__all__ = ["human_lines"]

_SINK = "exec:cat >/dev/null"
_SWITCH = "migrate_set_parameter mode cpr-exec"
#: Lines of the human monitor; ``;`` between lines that belong together, ``|``
#: after those that only come in front. What is not here is given
#: without arguments.
_LINES: Final[Mapping[str, Sequence[str]]] = {
    "balloon": ["device_add virtio-balloon-pci,bus=slot0|balloon 128"],
    "block_job_cancel": ["block_job_cancel q0"],
    "block_resize": ["block_resize b0 64M"],
    "block_stream": ["block_stream q0"],
    "boot_set": ["boot_set c"],
    "calc_dirty_rate": ["calc_dirty_rate 1"],
    "change": ["change cd0 raw raw"],
    "chardev-add": [
        "chardev-add null,id=new",
        "chardev-add socket,id=new,path=listening,server=on,wait=off",
    ],
    "chardev-change": ["chardev-change c1 socket,path=listening,server=on,wait=off"],
    "chardev-remove": ["chardev-remove c1"],
    "chardev-send-break": ["chardev-send-break c1"],
    "closefd": ["closefd x"],
    "commit": ["commit all"],
    "cpu": ["cpu 0"],
    "delvm": ["delvm s"],
    "device_add": ["device_add pc-dimm,id=new,memdev=m0", "device_add virtio-rng-pci,bus=slot0"],
    "device_del": ["device_del tablet0"],
    "drive_add": ["drive_add 0 if=none,id=new,driver=null-co"],
    "drive_backup": ["drive_backup q0 new"],
    "drive_del": ["drive_del q0"],
    "drive_mirror": ["drive_mirror q0 new"],
    "dump-guest-memory": ["dump-guest-memory dump"],
    "dumpdtb": ["dumpdtb dtb"],
    "eject": ["eject cd0"],
    "expire_password": ["expire_password vnc never"],
    "gdbserver": ["gdbserver tcp:127.0.0.1:5998"],
    "getfd": ["getfd x"],
    "gpa2hpa": ["gpa2hpa 0"],
    "gpa2hva": ["gpa2hva 0"],
    "gva2gpa": ["gva2gpa 0"],
    "hostfwd_add": ["hostfwd_add n0 tcp:127.0.0.1:5997-:22"],
    "hostfwd_remove": ["hostfwd_remove n0 tcp:127.0.0.1:5997"],
    "i": ["i /4 0xcf8"],
    "info": ["info mtree", "info qdm", "info qtree", "info pci"],
    "loadvm": ["savevm s|loadvm s"],
    "log": ["log none"],
    "logfile": ["logfile out"],
    "mce": ["mce 0 0 0 0 0 0"],
    "memsave": ["memsave 0 16 mem"],
    "migrate": [
        f'migrate -d "{_SINK}"',
        f"{_SWITCH};migrate_set_parameter cpr-exec-command /bin/sleep 60;migrate file:state",
    ],
    "migrate_incoming": ["migrate_incoming unix:listening"],
    "migrate_recover": ["migrate_recover unix:listening"],
    "migrate_set_capability": ["migrate_set_capability auto-converge on"],
    "migrate_set_parameter": ["migrate_set_parameter max-bandwidth 1"],
    "mouse_button": ["mouse_button 1"],
    "mouse_move": ["mouse_move 1 1"],
    "mouse_set": ["mouse_set 0"],
    "nbd_server_add": ["nbd_server_start unix:nbd|nbd_server_add b0"],
    "nbd_server_remove": ["nbd_server_start unix:nbd;nbd_server_add b0|nbd_server_remove b0"],
    "nbd_server_stop": ["nbd_server_start unix:nbd|nbd_server_stop"],
    "nbd_server_start": ["nbd_server_start unix:listening"],
    "netdev_add": ["netdev_add user,id=new", "netdev_add socket,id=new,listen=127.0.0.1:0"],
    "netdev_del": ["netdev_del hub0"],
    "o": ["o /4 0xcf8 0x80010010;o /4 0xcfc 0xd8000000"],
    "object_add": [
        "object_add iothread,id=new",
        "object_add qtest,id=new,chardev=c0",
        "object_add monitor-qmp,id=new,chardev=c0",
    ],
    "object_del": ["object_del m0"],
    "one-insn-per-tb": ["one-insn-per-tb off"],
    "pcie_aer_inject_error": ["pcie_aer_inject_error screen 1"],
    "pmemsave": ["pmemsave 0 16 mem"],
    "p": ["p 1"],
    "print": ["print 1"],
    "qemu-io": ['qemu-io b0 "read 0 512"'],
    "qom-get": ["qom-get /machine type"],
    "qom-list": ["qom-list /machine"],
    "qom-set": [
        "qom-set /machine/peripheral/vm0 requested-size 128M",
        "qom-set /machine/peripheral/slot0 realized off",
    ],
    "replay_break": ["replay_break 1"],
    "replay_seek": ["replay_seek 1"],
    "ringbuf_read": ["ringbuf_read ring0 16"],
    "ringbuf_write": ["ringbuf_write ring0 x"],
    "savevm": ["savevm s"],
    "screendump": ["screendump screen"],
    "sendkey": ["sendkey a"],
    "set_link": ["set_link hub0 off"],
    "set_password": ["set_password vnc x"],
    "set_vcpu_dirty_limit": ["set_vcpu_dirty_limit 1"],
    "singlestep": ["singlestep off"],
    "snapshot_blkdev": ["snapshot_blkdev q0 new qcow2"],
    "snapshot_blkdev_internal": ["snapshot_blkdev_internal q0 s"],
    "snapshot_delete_blkdev_internal": ["snapshot_delete_blkdev_internal q0 s"],
    "stopcapture": ["stopcapture 0"],
    "sum": ["sum 0 16"],
    "sync-profile": ["sync-profile off"],
    "trace-event": ["trace-event virtio_notify off"],
    "trace-file": ["trace-file on"],
    "watchdog_action": ["watchdog_action none"],
    "wavcapture": ["wavcapture wav a0"],
    "x": ["x /4 0"],
    "xp": ["xp /4 0"],
    "xen-event-inject": ["xen-event-inject 1"],
}


def human_lines(name: str) -> Iterator[Experiment]:
    """Yield what comes in front, and the line in question."""
    for text in _LINES.get(name, [name]):
        before, _, lines = text.rpartition("|")
        yield _typed(before), _typed(lines)


def _typed(lines: str) -> Sequence[Command]:
    return [("human-monitor-command", {"command-line": line}) for line in lines.split(";") if line]
