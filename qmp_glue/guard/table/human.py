"""Commands of the human monitor, aliases included."""

from __future__ import annotations

from typing import Final

from qmp_glue.guard.table.rows import Class, Group, Judge, Table

__all__ = ["TABLE"]

TABLE: Final = Table(
    (
        Group(
            Class.HARMLESS,
            "only asks",
            """
            ? clear cpu gpa2hpa gpa2hva gva2gpa help i info p print qom-get qom-list ringbuf_read
            sum x xen-event-list xp
            """,
        ),
        Group(
            Class.HARMLESS,
            "disks and their jobs",
            """
            block_job_cancel block_job_complete block_job_pause block_job_resume block_job_set_speed
            block_resize block_set_io_throttle block_stream change commit drive_add drive_backup
            drive_del drive_mirror eject nbd_server_add nbd_server_remove nbd_server_stop qemu-io
            snapshot_blkdev snapshot_blkdev_internal snapshot_delete_blkdev_internal
            """,
        ),
        Group(
            Class.HARMLESS,
            "the guest runs, stops or is poked; its map stays",
            """
            announce_self balloon boot_set c calc_dirty_rate cancel_vcpu_dirty_limit cont mce
            mouse_button mouse_move mouse_set nmi one-insn-per-tb pcie_aer_inject_error s sendkey
            set_link set_vcpu_dirty_limit singlestep stop system_powerdown system_reset
            system_wakeup watchdog_action xen-event-inject
            """,
        ),
        Group(
            Class.HARMLESS,
            "takes away, or changes no address",
            """
            chardev-remove chardev-send-break device_del hostfwd_remove netdev_del object_del
            ringbuf_write sync-profile trace-event
            """,
        ),
        Group(Class.HARMLESS, "displays", "client_migrate_info expire_password set_password"),
        Group(
            Class.HARMLESS,
            "writes a file",
            """
            dump-guest-memory dumpdtb log logfile memsave pmemsave screendump stopcapture wavcapture
            """,
        ),
        Group(
            Class.HARMLESS,
            "saves state, or ends saving it",
            """
            delvm migrate_cancel migrate_continue migrate_pause migrate_set_capability
            migrate_start_postcopy savevm x_colo_lost_heartbeat
            """,
        ),
        Group(
            Class.HARMLESS, "stops a replay, moves it nowhere", "replay_break replay_delete_break"
        ),
        Group(
            Class.HARMLESS, "a descriptor, which the guard remembers by its name", "closefd getfd"
        ),
        Group(Class.HARMLESS, "ends QEMU", "q quit"),
        Group(Class.JUDGED, "by driver and arguments", "device_add", Judge.DEVICE),
        Group(Class.JUDGED, "by type", "object_add", Judge.OBJECT),
        Group(Class.JUDGED, "by property", "qom-set", Judge.PROPERTY),
        Group(Class.JUDGED, "by type: vDPA devices are assigned", "netdev_add", Judge.NETDEV),
        Group(
            Class.JUDGED,
            "by type: a socket may take the place of the guard's",
            "chardev-add chardev-change",
            Judge.CHARDEV,
        ),
        Group(
            Class.JUDGED,
            "listens: its socket may take the place of the guard's",
            "hostfwd_add migrate_recover nbd_server_start",
            Judge.LISTEN,
        ),
        Group(
            Class.JUDGED,
            "loads a state: virtio-mem devices may come back larger",
            "loadvm migrate_incoming replay_seek",
            Judge.STATE,
        ),
        Group(
            Class.JUDGED,
            "mode cpr-exec makes QEMU another program",
            "migrate migrate_set_parameter",
            Judge.MIGRATE,
        ),
        Group(Class.JUDGED, "makes the board", "exit_preconfig", Judge.BOARD),
        Group(
            Class.REFUSED,
            "writes a port: it moves BARs, switches memory on and off",
            "o",
        ),
        Group(
            Class.REFUSED,
            "opens a gdb stub, whose monitor packets are a human monitor nobody guards",
            "gdbserver",
        ),
    )
)
