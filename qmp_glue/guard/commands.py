"""Which commands can change the map or the set of assigned devices: tables, and nothing else.

An allow list: what is not known to be harmless is judged, and what is not known at all is refused.
Read off QEMU's QAPI schema, versions 7.2 to 10.0 (``query-qmp-schema``), and its human monitor's
command table (hmp-commands.hx).
"""

from __future__ import annotations

from typing import Final

__all__ = ["HARMLESS", "HARMLESS_FAMILIES", "HMP_HARMLESS", "STATE_LOADS"]

#: Names that begin so only ask, or only concern storage, jobs, displays and tracing.
HARMLESS_FAMILIES: Final = (
    "block-",
    "block_",
    "blockdev-",
    "cancel-vcpu-",
    "chardev-",
    "dump",
    "job-",
    "nbd-server-",
    "query-",
    "replay-",
    "ringbuf-",
    "trace-event-",
    "x-blockdev-",
    "x-debug-",
    "x-query-",
)

_QMP_NAMES: Final = """
    add-fd add_client announce-self balloon calc-dirty-rate change-backing-file change-vnc-password
    client_migrate_info closefd cont device-list-properties device-sync-config display-reload
    display-update drive-backup drive-mirror eject expire_password getfd inject-nmi
    input-send-event memsave migrate migrate-continue migrate-pause migrate-recover
    migrate-set-capabilities migrate-set-parameters migrate-start-postcopy migrate_cancel
    netdev_del object-del pmemsave qmp_capabilities qom-get qom-list qom-list-get
    qom-list-properties qom-list-types quit remove-fd request-ebpf rtc-reset-reinjection screendump
    send-key set-action set-vcpu-dirty-limit set_link set_password sev-inject-launch-secret
    snapshot-delete snapshot-save stop system_powerdown system_reset system_wakeup transaction
    watchdog-set-action x-colo-lost-heartbeat xen-colo-do-checkpoint xen-event-inject
    xen-event-list xen-save-devices-state xen-set-global-dirty-log xen-set-replication yank
"""
#: Commands known to leave the map and the assigned devices alone.
HARMLESS: Final = frozenset(_QMP_NAMES.split())

#: Commands that load a guest's state: a virtio-mem device may come back larger.
STATE_LOADS: Final = frozenset({"migrate-incoming", "snapshot-load", "xen-load-devices-state"})

_HMP_NAMES: Final = """
    announce_self balloon block_job_cancel block_job_complete block_job_pause block_job_resume
    block_job_set_speed block_resize block_set_io_throttle block_stream boot_set calc_dirty_rate
    cancel_vcpu_dirty_limit change chardev-add chardev-change chardev-remove chardev-send-break
    client_migrate_info closefd commit cont c cpu delvm drive_add drive_backup drive_del
    drive_mirror dump-guest-memory dumpdtb eject expire_password getfd gpa2hpa gpa2hva gva2gpa help
    ? hostfwd_add hostfwd_remove i info log logfile mce memsave migrate migrate_cancel
    migrate_continue migrate_pause migrate_recover migrate_set_capability migrate_set_parameter
    migrate_start_postcopy mouse_button mouse_move mouse_set nbd_server_add nbd_server_remove
    nbd_server_start nbd_server_stop netdev_del nmi o object_del one-insn-per-tb
    pcie_aer_inject_error pmemsave print p qemu-io qom-get qom-list quit q replay_break
    replay_delete_break replay_seek ringbuf_read ringbuf_write rtc-reset-reinjection savevm
    screendump sendkey set_link set_password set_vcpu_dirty_limit singlestep snapshot_blkdev
    snapshot_blkdev_internal snapshot_delete_blkdev_internal stop s stopcapture sum sync-profile
    system_powerdown system_reset system_wakeup trace-event trace-file watchdog_action wavcapture x
    x_colo_lost_heartbeat xp
"""
#: Human monitor commands known to be harmless, aliases included. Not in it: what is judged, what
#: loads state, and ``gdbserver``, whose ``monitor`` packets are a human monitor nobody guards.
HMP_HARMLESS: Final = frozenset(_HMP_NAMES.split())
