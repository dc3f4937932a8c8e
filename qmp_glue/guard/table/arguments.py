"""Arguments of ``device_add``, whichever the driver.

What a harmless driver does with an argument of another is nothing: QEMU has no such property.
"""

from __future__ import annotations

from typing import Final

from qmp_glue.guard.table.rows import Class, Group, Judge, Table

__all__ = ["TABLE"]

TABLE: Final = Table(
    (
        Group(
            Class.HARMLESS,
            "says nothing of memory",
            """
            account-failed account-invalid acpi-index addr aer aer_log_max aer_max_queued aerl
            always-plugged any_layout atomic.awun atomic.awupf atomic.dn atomic.nabo atomic.nabsn
            atomic.nabspf atomic.nawun atomic.nawupf ats attached audiodev autonegotiation backend
            backend_defaults bandwidth baudbase big-endian-framebuffer bmc boot_tpgt bootindex
            buffer bus bus-reserve busnr canbus canbus0 canbus1 capareg cdat cert1 cert2 cert3
            channel chardev chardev1 chardev2 chardev3 chardev4 chassis chassis_nr chmaps class
            cmb_size_mb cmd_per_lun cmdlog commandlog conditional-intr-mapping config-wce
            config_size controls cryptodev csum ctratt.mem ctrl_guest_offloads ctrl_mac_addr ctrl_rx
            ctrl_rx_extra ctrl_vlan ctrl_vq cyls db dbcs debug deflate-on-oom desc detached
            dev-caps-max-ah dev-caps-max-cq dev-caps-max-mr dev-caps-max-mr-size dev-caps-max-pd
            dev-caps-max-qp dev-caps-max-qp-init-rd-atom dev-caps-max-srq dev-caps-qp-rd-atom dev_id
            device_id devno disable-acs disable-legacy disable-modern disable_vnet_hdr discard
            discard_granularity display dma_mask dpofua drive driver duplex ebpf-rss-fds edid
            emergency-write endianness eui64 eui64-default evdev event_idx events
            extra_mac_registers failover failover_pair_id fdp.ruhs fid filter firmware-version
            force-orb-pfch force-pcie-endcap forwarding-assist fp_start_macaddr free-page-hint
            free-page-reporting fsdev global-vmstate gso guest-cid guest-reset guest-resets-all
            guest-stats guest-stats-polling-interval guest_announce guest_csum guest_ecn
            guest_rsc_ext guest_tso4 guest_tso6 guest_tunnel guest_tunnel_csum guest_ufo guest_uso4
            guest_uso6 guestdebug hash hash-ipv4 hash-ipv6 hash-ipv6ex hash-tcp4 hash-tcp6
            hash-tcp6ex hash-udp4 hash-udp6 hash-udp6ex hba_serial head heads hidraw host_ecn
            host_mtu host_tso4 host_tso6 host_tunnel host_tunnel_csum host_ufo host_uso hostaddr
            hostbus hostdevice hostport hotplug ibdev ibport id in_order indirect_desc
            inflight-migration init-vet interpret intrs io-reserve io_timeout ioeventfd
            iommu_platform iothread iothread-vq-mapping isobsize isobufs jacks lcyls legacy-cmb
            len-ports lheads log-scsi-req logical_block_size loglevel lsecs lun mac mad-chardev
            master max-bytes max-discard-sectors max-write-zeroes-sectors max_cmds max_io_size
            max_ioqpairs max_outputs max_ports max_revision max_sectors max_sge max_unmap_size
            maxcurr maxframes mcl mcq mcq-maxq mdts mem-reserve membar migratable
            migrate-emulated-scsi-request migrate-extra migrate-pr migrate-timadj migrate_tso_props
            min_io_size mitigation model modern-pio-notify mount_tag mq mqes mrg_rxbuf ms mset msi
            msix msix-exclusive-bar msix_qsize msos-desc msrc mssrl multi multifunction name netdev
            nguid notify_on_empty nr nsid num-queues num-request-queues num_queues num_vqs nutmrs
            nutrs ocp old_msi_addr opt_io_size p2 p3 packed page-per-vq page-poison param_change
            pcap period physical_block_size pi pif pil pipeline port port-power port_index port_wwn
            ports power_controller_present pref32-reserve pref64-reserve product productid prog_if
            qemu-4-0-config-size qemu-extended-regs queue-size queue_reset
            quirk_mode_page_apple_vendor quirk_mode_page_set_block_size quirk_mode_page_truncated
            quirk_mode_page_vendor_specific_apple quirk_mode_sense_rom_use_dbd ram_size ram_size_mb
            readonly refresh_rate removable report-discard-granularity request-merging rerror
            revision rng rombar romsize rootdir rotation_rate rsc_interval rss rx_queue_size
            sas_address scsi scsi-id scsi_version sd-spec-version secs seg-max-adjust seg_max_adjust
            seqpacket serial share-rw shared shpc skip-get-vring-base-on-force-shutdown slot slots
            smart_critical_warning sn socket spdm_port spdm_trans speed sriov-pf sriov_max_vfs
            sriov_max_vi_per_vf sriov_max_vq_per_vf sriov_vi_flexible sriov_vq_flexible
            stats-intervals status streams subch_id subsys subsys_ven superspeed-ports-first
            suppress-remote-wake surfaces switch_id t10_pi tag target tx tx_queue_size uhs uid
            usb_version use-disabled-flag use-intel-id use-started use_jbod use_msg uuid vectors
            vendor vendorid ver vgamem vgamem_mb vhostfd virtio-id
            virtio-pci-bus-master-bug-migration virtqueue_size vq_size vram64_size_mb vram_size
            vram_size_mb vsl wakeup wb-max-size wb-min-size werror wheel-axis worker_per_virtqueue
            world write-cache write-zeroes wwn wwpn x-256b-flit x-ats-page-aligned
            x-disable-legacy-check x-disable-pcie x-do-not-expose-native-hotplug-cap
            x-enable-wce-if-config-wce x-ignore-backend-features x-max-bounce-buffer-size
            x-migrate-msix x-msg-timeout x-mtu-bypass-backend x-native-hotplug x-no-posted-writes
            x-old-msi-offsets x-old-pci-configuration x-pci-class-code x-pci-device-id
            x-pci-express-writeable-slt-bug x-pci-sub-device-id x-pci-sub-vendor-id x-pci-vendor-id
            x-pcie-ari-nextfn-1 x-pcie-deverr-init x-pcie-err-unc-mask x-pcie-ext-tag
            x-pcie-extcap-init x-pcie-flr-init x-pcie-lnkctl-init x-pcie-lnksta-dllla x-pcie-pm-init
            x-pcie-pm-no-soft-reset x-send-queued x-speed x-txburst x-txtimer x-width xmax xres ymax
            yres zoned zoned.auto_transition zoned.cross_read zoned.descr_ext_size zoned.max_active
            zoned.max_open zoned.numzrwa zoned.zasl zoned.zone_capacity zoned.zone_size zoned.zrwafg
            zoned.zrwas
            """,
        ),
        Group(
            Class.HARMLESS,
            "which CPU",
            """
            apic-id book-id cluster-id core-id dedicated die-id drawer-id entitlement module-id
            node-id socket-id thread-id
            """,
        ),
        Group(
            Class.HARMLESS,
            "how an assigned device or a memory device behaves, not which or where",
            """
            dynamic-memslots enable-migration hdm-db instanceid label-size migration-events
            mmap-timeout-ms node prealloc ramfb skip-vsc-check status-report unarmed
            unplugged-inaccessible use-legacy-x86-rom vf-token x-balloon-allowed
            x-device-dirty-page-tracking x-early-migration x-enable-migration x-igd-gms
            x-igd-legacy-mode x-igd-lpc x-igd-opregion x-intx-mmap-timeout-ms x-irqfd
            x-migration-load-config-after-iter x-migration-max-queued-buffers-size
            x-migration-multifd-transfer x-msix-relocation x-no-geforce-quirks x-no-kvm-intx
            x-no-kvm-ioeventfd x-no-kvm-msi x-no-kvm-msix x-no-mmap x-no-vfio-ioeventfd
            x-nv-gpudirect-clique x-pre-copy-dirty-page-tracking x-ramfb-migrate x-req x-vga
            x-vpasid-cap-offset
            """,
        ),
        Group(
            Class.JUDGED,
            "a memory backend, or where it goes",
            """
            block-size memaddr memdev requested-size size
            """,
            Judge.MEMORY,
        ),
        Group(
            Class.JUDGED,
            "a memory backend behind CXL decoders",
            """
            lsa num-dc-regions persistent-memdev volatile-dc-memdev volatile-memdev
            """,
            Judge.CXL,
        ),
        Group(Class.JUDGED, "makes a BAR memory", "membar-backed pmrdev", Judge.RAM_BAR),
        Group(
            Class.JUDGED,
            "an option ROM is memory; empty, there is none",
            """
            romfile
            """,
            Judge.ROM_BAR,
        ),
        Group(
            Class.JUDGED,
            "names a host device",
            """
            fd host iommufd sysfsdev vhostdev
            """,
            Judge.ASSIGN,
        ),
    )
)
