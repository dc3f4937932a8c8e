"""QMP commands."""

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
            device-list-properties qmp_capabilities qom-get qom-list qom-list-get
            qom-list-properties qom-list-types query-accelerators query-acpi-ospm-status
            query-audiodevs query-balloon query-block query-block-exports query-block-jobs
            query-blockstats query-chardev query-chardev-backends query-colo-status
            query-command-line-options query-commands query-cpu-definitions
            query-cpu-model-baseline query-cpu-model-comparison query-cpu-model-expansion
            query-cpus-fast query-cryptodev query-current-machine query-dirty-rate
            query-display-options query-dump query-dump-guest-memory-capability query-fdsets
            query-firmware-log query-gic-capabilities query-hotpluggable-cpus
            query-hv-balloon-status-report query-iothreads query-jobs query-kvm query-machines
            query-memdev query-memory-devices query-memory-size-summary query-mice query-migrate
            query-migrate-capabilities query-migrate-parameters query-migrationthreads query-name
            query-named-block-nodes query-pci query-pr-managers query-qmp-schema query-replay
            query-rocker query-rocker-of-dpa-flows query-rocker-of-dpa-groups query-rocker-ports
            query-rx-filter query-s390x-cpu-polarization query-sev query-sev-attestation-report
            query-sev-capabilities query-sev-launch-measure query-sgx query-sgx-capabilities
            query-spice query-stats query-stats-schemas query-status query-target query-tpm
            query-tpm-models query-tpm-types query-uuid query-vcpu-dirty-limit query-version
            query-vm-generation-id query-vnc query-vnc-servers query-xen-replication-status
            query-yank request-ebpf ringbuf-read trace-event-get-state x-accel-stats
            x-debug-block-dirty-bitmap-sha256 x-debug-query-block-graph
            x-query-interrupt-controllers x-query-irq x-query-jit x-query-numa x-query-opcount
            x-query-profile x-query-ramblock x-query-rdma x-query-roms x-query-usb x-query-virtio
            x-query-virtio-queue-element x-query-virtio-queue-status x-query-virtio-status@-10.0
            x-query-virtio-vhost-queue-status xen-event-list
            """,
        ),
        Group(
            Class.HARMLESS,
            "disks and their jobs",
            """
            block-commit block-dirty-bitmap-add block-dirty-bitmap-clear
            block-dirty-bitmap-disable block-dirty-bitmap-enable block-dirty-bitmap-merge
            block-dirty-bitmap-remove block-export-del block-job-cancel block-job-change
            block-job-complete block-job-dismiss block-job-finalize block-job-pause
            block-job-resume block-job-set-speed block-latency-histogram-set
            block-set-write-threshold block-stream block_resize block_set_io_throttle blockdev-add
            blockdev-backup blockdev-change-medium blockdev-close-tray blockdev-create
            blockdev-del blockdev-insert-medium blockdev-mirror blockdev-open-tray
            blockdev-remove-medium blockdev-reopen blockdev-set-active blockdev-snapshot
            blockdev-snapshot-delete-internal-sync blockdev-snapshot-internal-sync
            blockdev-snapshot-sync change-backing-file drive-backup drive-mirror eject job-cancel
            job-complete job-dismiss job-finalize job-pause job-resume nbd-server-add
            nbd-server-remove nbd-server-stop transaction x-blockdev-amend x-blockdev-change
            x-blockdev-set-iothread
            """,
        ),
        Group(
            Class.HARMLESS,
            "the guest runs, stops or is poked; its map stays",
            """
            announce-self balloon calc-dirty-rate cancel-vcpu-dirty-limit cont
            cxl-inject-correctable-error cxl-inject-dram-event cxl-inject-general-media-event
            cxl-inject-memory-module-event cxl-inject-poison cxl-inject-uncorrectable-errors
            cxl-release-dynamic-capacity inject-ghes-v2-error inject-nmi input-send-event
            rtc-reset-reinjection send-key set-action set-cpu-topology set-vcpu-dirty-limit
            set_link sev-inject-launch-secret stop system_powerdown system_reset system_wakeup
            watchdog-set-action xen-event-inject
            """,
        ),
        Group(
            Class.HARMLESS,
            "takes away, or changes no address",
            """
            chardev-remove chardev-send-break device-sync-config device_del netdev_del object-del
            ringbuf-write set-numa-node trace-event-set-state
            """,
        ),
        Group(
            Class.HARMLESS,
            "displays",
            """
            change-vnc-password client_migrate_info display-reload expire_password set_password
            """,
        ),
        Group(
            Class.HARMLESS,
            "writes a file",
            "dump-guest-memory dump-skeys dumpdtb memsave pmemsave screendump",
        ),
        Group(
            Class.HARMLESS,
            "saves state, or ends saving it",
            """
            migrate-continue migrate-pause migrate-set-capabilities migrate-start-postcopy
            migrate_cancel snapshot-delete snapshot-save x-colo-lost-heartbeat
            xen-colo-do-checkpoint xen-save-devices-state xen-set-global-dirty-log
            xen-set-replication
            """,
        ),
        Group(
            Class.HARMLESS, "stops a replay, moves it nowhere", "replay-break replay-delete-break"
        ),
        Group(
            Class.HARMLESS,
            "a descriptor, which the guard remembers by its name",
            "add-fd closefd getfd remove-fd",
        ),
        Group(Class.HARMLESS, "ends QEMU", "quit"),
        Group(Class.JUDGED, "by driver and arguments", "device_add", Judge.DEVICE),
        Group(Class.JUDGED, "by type", "object-add", Judge.OBJECT),
        Group(Class.JUDGED, "by property", "qom-set", Judge.PROPERTY),
        Group(Class.JUDGED, "by its line", "human-monitor-command", Judge.HUMAN),
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
            "block-export-add display-update migrate-recover nbd-server-start",
            Judge.LISTEN,
        ),
        Group(
            Class.JUDGED,
            "loads a state: virtio-mem devices may come back larger",
            "migrate-incoming replay-seek snapshot-load xen-load-devices-state",
            Judge.STATE,
        ),
        Group(
            Class.JUDGED,
            "mode cpr-exec makes QEMU another program",
            "migrate migrate-set-parameters",
            Judge.MIGRATE,
        ),
        Group(
            Class.JUDGED,
            "hands a connection to a display or a chardev, or ends one: the guard's, too",
            "add_client yank",
            Judge.CLIENT,
        ),
        Group(Class.JUDGED, "makes the board", "x-exit-preconfig", Judge.BOARD),
        Group(
            Class.JUDGED,
            "CXL memory, which the guest's decoders place",
            "cxl-add-dynamic-capacity",
            Judge.CXL,
        ),
        Group(
            Class.REFUSED,
            "QEMU 11.1 ends at it (qapi/qapi-visit-core.c: visit_start_struct(), an assertion)",
            "x-query-virtio-status@10.1-",
        ),
    )
)
