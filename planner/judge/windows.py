"""PCI windows over forbidden ranges, beyond the IOMMU, and over host bridge windows.

An assigned device's BAR is mapped for peer-to-peer DMA; QEMU only warns when that fails
(hw/vfio/common.c ``vfio_listener_region_add()``: ``ramd`` sections are not fatal), other VMMs stop.
Host bridge windows are never a kernel rule: Linux removed them from reserved_regions in commit
cd2c9fcf5c66 ("iommu/dma: Move PCI window region reservation back into dma specific path."), because
they would have refused working guests.
"""

from __future__ import annotations

from planner.findings import Finding, Party
from planner.judge.collision import Collision
from planner.judge.forbidden import UNKNOWN_FACTS, Binding
from planner.region import GuestMap, WindowKind
from planner.units import show_size

__all__ = ["judge_windows"]


def judge_windows(guest: GuestMap, binding: Binding) -> list[Finding]:
    """Return what is to be said about the guest's PCI windows and the hosts' bridge windows."""
    found: list[Finding] = []
    for window in guest.windows:
        if window.kind not in (WindowKind.PCI_MMIO32, WindowKind.PCI_MMIO64):
            continue
        for entry in binding.forbidden:
            shared = entry.span.intersection(window.span)
            if shared is None or entry.type == UNKNOWN_FACTS:
                continue
            met = Collision(window, entry, shared)
            found.append(
                met.finding(
                    "MM405" if entry.beyond else "MM404",
                    f"{met.words('the PCI window')}: BARs placed at [{shared}] are lost to"
                    " peer-to-peer DMA",
                    _bits_help(entry.span.start)
                    if entry.beyond
                    else "harmless unless devices talk to each other's BARs; firmware that takes"
                    " reservations can keep BARs out of that range",
                )
            )
    return found + _aliased(guest, binding)


def _bits_help(end: int) -> str:
    bits = (end - 1).bit_length()
    return f"give the guest CPU at most {bits} physical address bits, or make the window smaller"


def _aliased(guest: GuestMap, binding: Binding) -> list[Finding]:
    found: list[Finding] = []
    for host in binding.hosts:
        name = host.name
        for bridge in host.bridge_windows:
            hits = [r for r in guest.regions if r.kind.must_map and r.span.overlaps(bridge.span)]
            for region in hits[:1]:
                shared = region.span.intersection(bridge.span)
                assert shared is not None  # the overlap was just tested
                found.append(
                    Finding(
                        "MM406",
                        f"'{region.name}' [{region.span}] has the addresses of {bridge.name}"
                        f" [{bridge.span}] on {name}: {show_size(shared.size)} at [{shared}]",
                        help="no rule of the kernel; without ACS redirection such DMA could reach a"
                        " peer device instead of memory",
                        parties=(
                            Party.of(region),
                            Party(bridge.name, "bridge-window", bridge.span, bridge.origin, name),
                        ),
                        overlap=shared,
                    )
                )
    return found
