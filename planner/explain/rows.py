"""The table of messages: pattern, what is meant, why, what to do; special rows before general ones.

Messages are those of the QEMUs that the machine tables know (hw/vfio, hw/i386/pc.c, hw/arm/virt.c,
hw/mem), of cloud-hypervisor, libvirt's copies of QEMU's, and those of Linux 5.4 to 7.2
(drivers/iommu, drivers/vfio, mm/memory_hotplug.c).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["ROWS", "WORDS", "Row"]


@dataclass(frozen=True, slots=True)
class Row:
    """One message and what it means."""

    id: str
    pattern: re.Pattern[str]
    #: What happened, in one line.
    title: str
    cause: str
    remedy: str
    #: Findings whose pages say more.
    codes: tuple[str, ...] = ()
    #: The row counts only when the whole text has one of these (lower case).
    only_with: tuple[str, ...] = ()
    #: Whether the range in the message is one that was to be mapped for DMA.
    mapped: bool = False


def _row(
    id: str,  # noqa: A002  # as in Row
    pattern: str,
    title: str,
    cause: str,
    remedy: str,
    *codes: str,
    only_with: tuple[str, ...] = (),
    mapped: bool = False,
) -> Row:
    compiled = re.compile(pattern, re.IGNORECASE | re.ASCII)
    return Row(id, compiled, title, cause, remedy, codes, only_with, mapped)


_MAP = (
    r"vfio_(?:legacy_|container_)?dma_map\([^,]*, (?P<base>0x[0-9a-f]+), (?P<size>0x[0-9a-f]+),"
    r"[^)]*\) = "
)
_SET_IOMMU = r"failed to set (?:iommu for|group) container: "
_RMRR = "DMAR: Setting identity map for device .* \\[(?P<base>0x[0-9a-f]+) - (?P<last>0x[0-9a-f]+)"
_BAD_ADDRESS = "IOMMU_IOAS_MAP.*(?:= -14|Bad address)|vfio.*Bad address \\(os error 14\\)"
_PLUG = (
    "address range conflicts with memory device|address must be aligned to 0x|can't add memory"
    " device \\[|not enough space, currently 0x|backend memory size must be multiple of"
)
_FIRMWARE = (
    "a firmware setting or the vendor's tool (HPE: RMRR exclusion; AMD: pre-boot DMA protection"
    " off), another slot, or another device; moving guest memory does not help"
)
_UNSAFE = (
    "switch interrupt remapping on in the firmware; where the guest is trusted, load"
    " vfio_iommu_type1 (or iommufd) with allow_unsafe_interrupts=1"
)

#: A line that has none of these (lower case) matches no row; most lines of a log have none.
WORDS = (
    "addressing",
    "attach",
    "container",
    "dma",
    "enough space",
    "hotplug",
    "interrupt",
    "iommu",
    "memory",
    "must be aligned",
    "phys-bits",
    "reserved",
    "rmrr",
    "smmu",
    "viable",
    "vfio",
)

#: From special to general: the first that matches a line is its answer.
ROWS: tuple[Row, ...] = (
    _row(
        "map-efault",
        _MAP + r"-14|" + _BAD_ADDRESS,
        "a BAR could not be pinned for DMA (EFAULT)",
        "the memory behind the range cannot be mapped, as a BAR's often cannot with iommufd; the"
        " address itself was not refused",
        "not a matter of the map; only peer-to-peer DMA is lost. Try VFIO type1, or a newer kernel",
    ),
    _row(
        "map-enomem",
        _MAP + r"-12",
        "guest memory could not be locked (ENOMEM)",
        "the limit of locked memory is below the guest's size",
        "raise it (ulimit -l, LimitMEMLOCK=, libvirt's hard_limit); not a matter of the map",
    ),
    _row(
        "map-enospc",
        _MAP + r"-28|possibly running out of DMA mappings",
        "the container has no DMA mappings left (ENOSPC)",
        "each piece of memory and each BAR takes a mapping; VFIO type1 has 65535 of them",
        "use fewer and larger pieces of memory, or raise dma_entry_limit of vfio_iommu_type1",
        "MM409",
    ),
    _row(
        "map-eexist",
        _MAP + r"-17",
        "the range is mapped already (EEXIST)",
        "two regions of the guest have the same addresses for DMA",
        "look for regions that overlap: guestmap check -- QEMU ARGS",
        "MM203",
    ),
    _row(
        "map-einval",
        _MAP + r"-22",
        "the kernel refused to map guest memory for DMA (EINVAL)",
        "the range covers something the device's group reserves, or lies above the IOMMU's"
        " address bits; rarely, the container has no group yet or the range is no whole page",
        "guestmap plan finds a map that fits; with --host this command says which of the two it is",
        "MM401",
        "MM402",
        mapped=True,
    ),
    _row(
        "hotplug-fatal",
        r"hardware error: vfio: DMA mapping failed, unable to continue",
        "memory was plugged where an assigned device's group forbids it, and QEMU ended the VM",
        "QEMU places plugged memory without asking the host, and has no way back from a mapping"
        " that fails",
        "plug memory through guestmap hotplug, or put guestmap guard before the monitor",
        "MM401",
        "MM411",
    ),
    _row(
        "attach-listener",
        r"failed to setup container for group (\d+): memory listener initialization failed",
        "the device's group forbids addresses that guest memory has already",
        "the guest's map was made without knowing of this device",
        "plan the map for every device that may be plugged: reserve: host, or name it under"
        " hotplug",
        "MM401",
    ),
    _row(
        "iommufd-attach",
        r"error attach .*(?:Address already in use|-98|EADDRINUSE)",
        "iommufd found guest memory where the device's group reserves addresses (EADDRINUSE)",
        "as with VFIO type1's EINVAL at attach: the map was made without knowing of this device",
        "plan the map for this device too: guestmap plan",
        "MM401",
    ),
    _row(
        "rmrr-ineligible",
        r"Device is ineligible for IOMMU domain attach due to platform RMRR requirement",
        "the kernel does not give the device away: firmware wants memory mapped 1:1 for it (VT-d)",
        "an RMRR in the firmware's DMAR table names the device; its group lists it as direct",
        _FIRMWARE,
        "MM403",
    ),
    _row(
        "require-direct",
        r"Firmware has requested this device have a 1:1 IOMMU mapping",
        "the kernel does not give the device away: firmware wants memory mapped 1:1 for it",
        "since Linux 6.6 this holds for every IOMMU: RMRR on Intel, IVMD on AMD, RMR on Arm",
        _FIRMWARE,
        "MM403",
    ),
    _row(
        "rmrr-identity",
        _RMRR,
        "firmware wants a range mapped 1:1 for a device (RMRR)",
        "for USB controllers and graphics the kernel calls it direct-relaxable and allows"
        " assignment; for every other device it refuses",
        "look at the group's reserved_regions: direct means refused",
        "MM403",
        "MM410",
    ),
    _row(
        "rmrr-uncovered",
        r"No firmware reserved region can cover this RMRR \[(?P<base>0x[0-9a-f]+)"
        r"-(?P<last>0x[0-9a-f]+)",
        "firmware names a 1:1 range that its own memory map does not reserve",
        "a defect of the firmware (HP Gen8 and Gen9, reported since Linux 6.8); the range counts"
        " all the same",
        "update the firmware; nothing in the guest's map changes it",
        "MM403",
    ),
    _row(
        "eperm-rmrr",
        _SET_IOMMU + r"Operation not permitted",
        "VFIO refused the device (EPERM), because firmware wants memory mapped 1:1 for it",
        "the same text has the kernel's reason: platform RMRR requirement",
        _FIRMWARE,
        "MM403",
        only_with=("platform rmrr requirement", "1:1 iommu mapping"),
    ),
    _row(
        "eperm-interrupts",
        _SET_IOMMU + r"Operation not permitted",
        "VFIO refused the device (EPERM)",
        "mostly interrupts: without isolated MSIs (no interrupt remapping; GICv2m) a guest could"
        " raise any interrupt. On Intel also an RMRR: dmesg then says 'ineligible'",
        _UNSAFE + "; look at dmesg first",
        "MM309",
        "MM403",
    ),
    _row(
        "no-remapping",
        r"No interrupt remapping (?:support|for)|allow_unsafe_interrupts",
        "interrupts of assigned devices are not isolated on this host",
        "there is no interrupt remapping (x86), or MSIs go through GICv2m or MBI (Arm)",
        _UNSAFE,
        "MM309",
    ),
    _row(
        "einval-container",
        _SET_IOMMU + r"Invalid argument|cannot add vfio group to container, error 22",
        "VFIO could not take the device's group (EINVAL)",
        "since Linux 6.6 mostly a 1:1 region of firmware (dmesg: 'Firmware has requested…');"
        " otherwise guest memory covers what the group reserves, or the IOMMUs' widths do not meet",
        "look for direct in the group's reserved_regions; without one, plan the map",
        "MM403",
        "MM401",
    ),
    _row(
        "not-viable",
        r"group \d+ is not viable|ensure all devices within the iommu_group are bound",
        "another device of the group still has a driver of the host",
        "VFIO gives away whole groups only",
        "bind every device of the group to vfio-pci; not a matter of the map",
    ),
    _row(
        "ht-range",
        r"Address space limit 0x[0-9a-f]+ < 0x[0-9a-f]+ phys-bits too low \(\d+\)",
        "the guest CPU has too few address bits for its memory (QEMU)",
        "with an AMD CPU model memory above 4 GiB moves to 1 TiB when it would reach"
        " 0xfd00000000, and that needs more than 40 bits",
        "give the CPU more bits: -cpu …,phys-bits=48 or host-phys-bits=on",
        "MM204",
    ),
    _row(
        "virt-bits",
        r"Addressing limited to \d+ bits, but memory exceeds it by",
        "memory lies above the machine's address bits (QEMU virt)",
        "the CPU's PARange, KVM's IPA size or highmem=off limits them",
        "lower maxmem, use a CPU with more bits, or leave highmem on",
        "MM204",
    ),
    _row(
        "iommu-width",
        r"iommu width \(\d+\) is not sufficient for the mapped address \((?P<base>[0-9a-f]+)\)",
        "an address is above what the IOMMU translates",
        "client IOMMUs translate 39 bits; guest firmware places BARs by the CPU's bits",
        "limit the guest's bits (phys-bits, host-phys-bits-limit) to the IOMMU's",
        "MM402",
        "MM412",
        mapped=True,
    ),
    _row(
        "context-fault",
        r"arm-smmu.*Unhandled context fault:.*iova=(?P<base>0x[0-9a-f]+)",
        "a device's access was stopped by the SMMU",
        "below 1 MiB: often an MSI write into a window at 0x08000000 that the platform cannot"
        " reach; elsewhere: DMA to memory that is not mapped",
        "a kernel that puts the MSI window elsewhere; no guest map helps with the first",
        "MM317",
    ),
    _row(
        "after-probe",
        r"Notified about new host reserved regions after probe",
        "a device was plugged behind a virtio-iommu after the guest had read its ranges",
        "the guest may use addresses that the new device's group forbids",
        "reserve for every device that may be plugged, before launch: name it under hotplug",
        "MM401",
    ),
    _row(
        "kvm-memory-region",
        r"KVM_SET_USER_MEMORY_REGION.*failed|kvm_set_user_memory_region",
        "KVM refused a memory region",
        "mostly an address above the bits KVM gives the guest (IPA size, phys-bits)",
        "lower the addresses: fewer phys-bits, smaller maxmem",
        "MM204",
    ),
    _row(
        "guest-block",
        r"Block size \[0x[0-9a-f]+\] unaligned hotplug range: start (?P<base>0x[0-9a-f]+),"
        r" size (?P<size>0x[0-9a-f]+)",
        "the guest's kernel did not bring plugged memory online",
        "Linux takes only whole, aligned memory blocks",
        "plug multiples of the block size, on it: memory.block in the layout",
        "MM508",
    ),
    _row(
        "no-ged",
        r"memory hotplug is not enabled: missing acpi-ged device",
        "the machine has no memory hotplug (QEMU virt)",
        "without firmware virt has no ACPI, and pc-dimm needs it",
        "give -bios or pflash firmware, or use virtio-mem",
    ),
    _row(
        "memory-plug",
        _PLUG,
        "QEMU refused a memory device's place or size",
        "memory devices lie in the window between the end of boot memory and maxmem, aligned to"
        " 2 MiB or the backend's page",
        "let guestmap plan choose addresses, or raise maxmem and slots",
        "MM204",
    ),
    _row(
        "reserved-twice",
        r"array size property len-reserved-regions may not be set more than once",
        "the virtio-iommu's reserved regions are the machine's own (QEMU 7.2)",
        "virt and q35 set them for their doorbell; a list of one's own works only on a machine"
        " without an MSI controller",
        "leave reserved-regions out",
        "MM507",
    ),
    _row(
        "map-bare",
        r"VFIO_(?:IOMMU_)?MAP_DMA(?: failed)?: (?:-22|Invalid argument)|IOMMU_IOAS_MAP.*= -22"
        r"|DMA[_ ]map.*Invalid argument",
        "the kernel refused a DMA mapping (EINVAL)",
        "a forbidden range, an address above the IOMMU's bits, or a container without a group;"
        " this line names no address",
        "look for a line with the address (vfio_dma_map), or run guestmap check -- QEMU ARGS",
        "MM401",
        "MM402",
    ),
)
