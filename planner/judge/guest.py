"""What the guest itself needs from the map, whatever the hosts forbid."""

from __future__ import annotations

from planner.findings import Finding, Party
from planner.judge.forbidden import Binding
from planner.machine.family import find_family
from planner.region import GuestMap, Kind, WindowKind
from planner.span import GIB, MIB, Span, SpanSet
from planner.units import show_size

__all__ = ["judge_guest"]

#: Below this much memory under 4 GiB, 32-bit DMA (swiotlb's default 64 MiB, old NICs) gets tight:
#: IO_TLB_DEFAULT_SIZE in include/linux/swiotlb.h (6.12).
LOW_MEMORY = 64 * MIB
#: VFIO's dma_entry_limit, drivers/vfio/vfio_iommu_type1.c (7.2); a hundredth is worth a word.
DMA_ENTRIES = 65535


def judge_guest(guest: GuestMap, binding: Binding) -> list[Finding]:
    """Judge low memory, the hotplug window, CPU address bits and the number of DMA mappings."""
    found = [*_low_memory(guest), *_hotplug_window(guest, binding), *_phys_bits(guest, binding)]
    mapped = sum(region.dma for region in guest.regions)
    if mapped > DMA_ENTRIES // 100:
        found.append(
            Finding(
                "MM409",
                f"the map takes {mapped} DMA mappings of {DMA_ENTRIES} that one VFIO container has",
                help="use fewer, larger pieces of memory",
            )
        )
    return found


def _low_memory(guest: GuestMap) -> list[Finding]:
    low = guest.ram() & SpanSet([Span(0, 4 * GIB)])
    if low.size >= LOW_MEMORY or not guest.ram():
        return []
    amount = show_size(low.size) if low else "no memory"
    return [
        Finding(
            "MM408",
            f"the guest has {amount} below 4 GiB, where devices with 32-bit DMA need it",
            help="start RAM lower if devices with 32-bit DMA are used without a guest IOMMU",
            parties=tuple(map(Party.of, guest.of_kind(Kind.RAM)[:1])),
        )
    ]


def _hotplug_window(guest: GuestMap, binding: Binding) -> list[Finding]:
    """Say which part of device memory may not be plugged into: QEMU itself does not know."""
    window = guest.window(WindowKind.DEVICE_MEMORY)
    if window is None:
        return []
    entries = [entry for entry in binding.forbidden if entry.span.overlaps(window.span)]
    free = SpanSet([window.span]) - guest.ram()
    hit = [entry for entry in entries if free.overlaps(entry.span)]
    if not hit:
        return []
    worst = hit[0]
    return [
        Finding(
            "MM411",
            f"memory hotplugged into [{window.span}] may land on {worst.words}"
            + (f" and {len(hit) - 1} more ranges" if len(hit) > 1 else ""),
            help="plug memory through 'guestmap hotplug' or 'guestmap guard', or give each device"
            " an address yourself",
            parties=(Party.of(window), *(entry.party for entry in hit[:4])),
            overlap=worst.span.intersection(window.span),
        )
    ]


def _phys_bits(guest: GuestMap, binding: Binding) -> list[Finding]:
    bits = binding.aperture_bits
    machine = find_family(guest.machine)
    if not (machine and machine.bridge) or guest.address_bits is None or bits is None:
        return []
    if guest.address_bits <= bits:
        return []
    narrow = min(entry for entry in binding.forbidden if entry.beyond)
    return [
        Finding(
            "MM412",
            f"the guest CPU has {guest.address_bits} physical address bits, the IOMMU of"
            f" {narrow.host} translates {bits}: firmware may place BARs above"
            f" {narrow.span.start - 1:#x}, where they cannot be mapped",
            help=f"add phys-bits={bits} to the CPU, or host-phys-bits-limit={bits} under KVM",
            parties=(narrow.party,),
        )
    ]
