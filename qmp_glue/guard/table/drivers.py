"""Drivers of ``device_add``.

A driver that QEMU takes at its start only is refused: QEMU would refuse it, too, but nobody has to
believe that. Those of s390x and POWER are read off QEMU 7.2; their classes are by reading.
"""

from __future__ import annotations

from typing import Final

from qmp_glue.guard.table.cpus import CPUS
from qmp_glue.guard.table.parts import PARTS
from qmp_glue.guard.table.rows import Class, Group, Judge, Table

__all__ = ["TABLE"]

TABLE: Final = Table(
    (
        Group(
            Class.HARMLESS,
            "disks, and what they hang on",
            """
            am53c974 dc390 ich9-ahci lsi53c810 lsi53c895a megasas megasas-gen2 mptsas1068 nvme
            nvme-ns pvscsi scsi-block scsi-cd scsi-generic scsi-hd sdhci-pci sii3112 ufs ufs-lu
            vhost-scsi-ccw vhost-scsi-pci vhost-scsi-pci-non-transitional
            vhost-scsi-pci-transitional vhost-user-blk-pci vhost-user-blk-pci-non-transitional
            vhost-user-blk-pci-transitional vhost-user-fs-ccw vhost-user-fs-pci vhost-user-scsi-pci
            vhost-user-scsi-pci-non-transitional vhost-user-scsi-pci-transitional virtio-9p-ccw
            virtio-9p-pci virtio-9p-pci-non-transitional virtio-9p-pci-transitional virtio-blk-ccw
            virtio-blk-pci virtio-blk-pci-non-transitional virtio-blk-pci-transitional
            virtio-scsi-ccw virtio-scsi-pci virtio-scsi-pci-non-transitional
            virtio-scsi-pci-transitional
            """,
        ),
        Group(
            Class.HARMLESS,
            "bridges and ports: a guest finds no memory there",
            """
            aspeed.pcie-root-port cxl-downstream cxl-upstream i82801b11-bridge ioh3420 pci-bridge
            pci-bridge-seat pcie-pci-bridge pcie-root-port x3130-upstream xio3130-downstream
            """,
        ),
        Group(
            Class.HARMLESS,
            "on USB, which has no memory",
            """
            ccid-card-emulated ccid-card-passthru u2f-passthru usb-audio usb-bot usb-braille
            usb-ccid usb-ehci usb-host usb-hub usb-kbd usb-mouse usb-mtp usb-net usb-redir
            usb-serial usb-storage usb-tablet usb-uas usb-wacom-tablet
            """,
        ),
        Group(
            Class.HARMLESS,
            "its registers are no memory",
            """
            AC97 AMDVI-PCI ctucan_pci edu ES1370 i6300esb ich9-intel-hda igb intel-hda iommu-testdev
            kvaser_pci mioe3680_pci nec-usb-xhci pci-ipmi-bt pci-ipmi-kcs pci-serial pci-serial-2x
            pci-serial-4x pci-testdev pcm3680_pci piix3-usb-uhci piix4-usb-uhci pvpanic-pci pvrdma
            qemu-xhci rocker sungem tpci200 tulip vfio-user-pci vhost-user-gpio-pci
            vhost-user-i2c-pci vhost-user-input-pci vhost-user-rng-pci vhost-user-rtc-pci
            vhost-user-scmi-pci vhost-user-snd-pci vhost-user-spi-pci vhost-user-vsock-pci
            vhost-user-vsock-pci-non-transitional vhost-vsock-ccw vhost-vsock-pci
            vhost-vsock-pci-non-transitional virtconsole virtio-balloon-ccw virtio-balloon-pci
            virtio-balloon-pci-non-transitional virtio-balloon-pci-transitional virtio-crypto-ccw
            virtio-crypto-pci virtio-input-host-pci virtio-keyboard-ccw virtio-keyboard-pci
            virtio-mouse-ccw virtio-mouse-pci virtio-multitouch-pci virtio-net-ccw virtio-rng-ccw
            virtio-rng-pci virtio-rng-pci-non-transitional virtio-rng-pci-transitional
            virtio-rtc-pci virtio-serial-ccw virtio-serial-pci virtio-serial-pci-non-transitional
            virtio-serial-pci-transitional virtio-sound-pci virtio-tablet-ccw virtio-tablet-pci
            virtserialport zpci
            """,
        ),
        Group(Class.HARMLESS, "a CPU has no memory of its own", CPUS),
        # softmmu/qdev-monitor.c qdev_alias_table[], 7.2, and system/qdev-monitor.c, 11.1.
        Group(
            Class.HARMLESS,
            "another name of such a driver",
            """
            ac97 ahci es1370 lsi virtio-9p virtio-balloon virtio-blk virtio-input-host
            virtio-keyboard virtio-mouse virtio-rng virtio-scsi virtio-serial virtio-sound
            virtio-tablet
            """,
        ),
        Group(
            Class.JUDGED,
            "memory at an address",
            """
            hv-balloon nvdimm pc-dimm sp-mem spapr-nvdimm virtio-mem-pci virtio-pmem-pci
            """,
            Judge.MEMORY,
        ),
        Group(
            Class.JUDGED,
            "memory in a BAR, which the guest puts anywhere in the PCI windows",
            """
            bochs-display ivshmem-doorbell ivshmem-plain qxl secondary-vga
            """,
            Judge.RAM_BAR,
        ),
        Group(
            Class.JUDGED,
            "its backend maps memory into its BAR, from QEMU 11.1 on (hw/virtio/vhost-user-base.c)",
            "vhost-user-test-device-pci",
            Judge.RAM_BAR,
        ),
        Group(
            Class.JUDGED,
            "an option ROM, which is memory, unless romfile= is empty",
            """
            e1000 e1000-82540em e1000-82544gc e1000-82545em e1000e i82550 i82551 i82557a i82557b
            i82557c i82558a i82558b i82559a i82559b i82559c i82559er i82562 i82801 ne2k_pci pcnet
            rtl8139 virtio-net virtio-net-pci virtio-net-pci-non-transitional
            virtio-net-pci-transitional vmxnet3
            """,
            Judge.ROM_BAR,
        ),
        Group(
            Class.JUDGED,
            "memory, which CXL decoders put anywhere in the CXL windows",
            """
            cxl-type3
            """,
            Judge.CXL,
        ),
        Group(
            Class.JUDGED,
            "assigns a host device",
            """
            vfio-amd-xgbe vfio-ap vfio-calxeda-xgmac vfio-ccw vfio-pci vfio-pci-nohotplug
            vfio-platform vhost-vdpa-device vhost-vdpa-device-pci
            vhost-vdpa-device-pci-non-transitional vhost-vdpa-device-pci-transitional
            """,
            Judge.ASSIGN,
        ),
        Group(
            Class.JUDGED,
            "a host bridge with a DMA window of its own",
            """
            spapr-pci-host-bridge
            """,
            Judge.DMA_WINDOW,
        ),
        Group(
            Class.REFUSED,
            "at its start only; its BAR is memory",
            """
            ati-vga cirrus-vga qxl-vga sm501 VGA vhost-user-vga virtio-vga virtio-vga-gl vmware-svga
            """,
            Judge.RAM_BAR,
        ),
        Group(
            Class.REFUSED,
            "the half of a virtio device that sits in a transport of the board",
            """
            tpm-tis-device vhost-scsi vhost-user-blk vhost-user-fs-device vhost-user-gpio-device
            vhost-user-gpu vhost-user-i2c-device vhost-user-input vhost-user-rng vhost-user-rtc
            vhost-user-scmi vhost-user-scsi vhost-user-snd vhost-user-spi-device
            vhost-user-test-device vhost-user-vsock-device vhost-vsock-device virtio-9p-device
            virtio-balloon-device virtio-blk-device virtio-crypto-device virtio-gpu-device
            virtio-gpu-gl-device virtio-input-host-device virtio-iommu-device virtio-keyboard-device
            virtio-mem virtio-mouse-device virtio-multitouch-device virtio-net-device virtio-pmem
            virtio-rng-device virtio-rtc-device virtio-scsi-device virtio-serial-device
            virtio-sound-device virtio-tablet-device
            """,
        ),
        Group(
            Class.REFUSED,
            "what a Xen machine has at its start",
            """
            xen-backend xen-cdrom xen-console xen-disk xen-net-device xen-platform
            """,
        ),
        Group(
            Class.REFUSED,
            "at its start only: no bus of its kind takes one later",
            """
            160s33b 25csm04 320s33b 640s33b acpi-erst adb-keyboard adb-mouse adlib adm1266 adm1272
            ads7846 amd-iommu arm-smmuv3 aspeed-otp aspeed.i2c.slave at24c-eeprom at25128a-nonjedec
            at25256a-nonjedec at25df041a at25df321a at25df641 at25fs010 at25fs040 at26df081a
            at26df161a at26df321 at26f004 at45db081d axp209_pmu axp221_pmu bcm2835-cprman-clock-mux
            bcm2835-cprman-dsi0hsck-mux bcm2835-cprman-pll bcm2835-cprman-pll-channel cfam corgi-ssp
            cs4231a cxl-rp cxl-switch-mailbox-cci dec-21154-p2p-bridge diag288 dm163 dpcd dps310
            ds1338 emc1413 emc1414 emmc en25f32 en25p32 en25p64 en25q32b en25q64 eTSEC floppy
            fsi.master fsi.scratchpad fsi.slave gd25q32 gd25q64 guest-loader gus hda-duplex
            hda-micro hda-output hv-syndbg hyperv-testdev i2c-ddc i2c-echo i8042 i82374 i82378 ib700
            ich9-usb-ehci1 ich9-usb-ehci2 ich9-usb-uhci1 ich9-usb-uhci2 ich9-usb-uhci3
            ich9-usb-uhci4 ich9-usb-uhci5 ich9-usb-uhci6 ide-cd ide-cf ide-hd intel-iommu
            ipmi-bmc-extern ipmi-bmc-sim ipoctal232 is25lp016d is25lp032 is25lp064 is25lp080d
            is25lp128 is25lp256 is25lq040b is25wp032 is25wp064 is25wp128 is25wp256 isa-applesmc
            isa-cirrus-vga isa-debug-exit isa-debugcon isa-fdc isa-ide isa-ipmi-bt isa-ipmi-kcs
            isa-m48t59 isa-parallel isa-serial isa-vga isl69259 isl69260 led lm8323 loader
            lsm303dlhc_mag m25p05 m25p10 m25p128 m25p16 m25p20 m25p32 m25p40 m25p64 m25p80 m25pe16
            m25pe20 m25pe80 m25px32 m25px32-s0 m25px32-s1 m25px64 m41t80 m45pe10 m45pe16 m45pe80
            macio-newworld macio-oldworld max1110 max1111 max31785 max34451 max7310 mc146818rtc
            mock-i3c-target mt25ql01g mt25ql02g mt25ql512ab mt25qu01g mt25qu02g mt35xu01g
            mt35xu02gbba mx25l12805d mx25l12855e mx25l1606e mx25l2005a mx25l25635e mx25l25635f
            mx25l25655e mx25l3205d mx25l4005a mx25l6405d mx25l8005 mx66l1g45g mx66l51235f mx66u1g45g
            mx66u51235f n25q00 n25q00a n25q032 n25q032a11 n25q032a13 n25q064 n25q064a11 n25q064a13
            n25q128 n25q128a11 n25q128a13 n25q256a n25q256a11 n25q256a13 n25q512a n25q512a11
            n25q512a13 n25q512ax3 nand ne2k_isa nitro-heartbeat nitro-serial-vsock
            npcm7xx-clock-divider npcm7xx-clock-pll npcm7xx-clock-sel nvme-subsys pc-testdev pca9535
            pca9546 pca9548 pca9552 pca9554 pci-ohci piix3-ide piix4-ide pnv-phb pnv-phb-root-port
            prep-systemio pvpanic pxa2xx-i2c-slave pxb pxb-cxl pxb-pcie raa228000 raa229004 ramfb
            rs5c372 rs6000-mc s25fl016k s25fl064k s25fl129p0 s25fl129p1 s25fl256s0 s25fl256s1
            s25fl512s s25fs512s s25sl004a s25sl008a s25sl016a s25sl032a s25sl032p s25sl064a
            s25sl064p s25sl12800 s25sl12801 s70fl01gs s70fs01gs sb16 sbsa-gwdt sclpconsole
            sclplmconsole sd-card sd-card-spi sga sii9022 smbus-ipmi spapr-rng spapr-tpm-proxy
            spapr-vlan spapr-vscsi spapr-vty spitz-lcdtg ssd0303 ssd0323 sst25vf016b sst25vf032b
            sst25vf040b sst25vf080b sst25wf010 sst25wf020 sst25wf040 sst25wf080 sst25wf512 tmp105
            tmp421 tmp422 tmp423 tosa-ssp tosa_dac tpm-crb tpm-spapr tpm-tis tpm-tis-i2c twl92230
            uefi-vars-sysbus uefi-vars-x64 vfio-pci-igd-lpc-bridge vhost-user-gpu-pci vhost-user-vga
            virtio-gpu virtio-gpu-ccw virtio-gpu-gl virtio-gpu-gl-pci virtio-gpu-pci virtio-iommu
            virtio-iommu-pci vmbus-bridge vmclock vmcoreinfo vmgenid vmmouse w25q01jvq w25q02jvm
            w25q256 w25q32 w25q32dw w25q512jv w25q64 w25q80 w25q80bl w25x10 w25x16 w25x20 w25x32
            w25x40 w25x64 w25x80 wm8750 x-pci-proxy-dev x-terminal3270 xlnx,efuse
            """,
        ),
        Group(Class.REFUSED, "a part of boards: nobody plugs it", PARTS),
    )
)
