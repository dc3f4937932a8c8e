"""Guest memory over forbidden ranges: what the kernel would refuse to map.

VFIO refuses a mapping outside the ranges its group leaves usable: ``VFIO_IOMMU_MAP_DMA`` answers
EINVAL (drivers/vfio/vfio_iommu_type1.c ``vfio_iommu_iova_dma_valid()``, Linux 5.4 on), which QEMU
shows as ``vfio_dma_map(...) = -22 (Invalid argument)``. Emulated MMIO is never mapped, so only
memory-backed kinds are judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from planner.findings import Finding, Party
from planner.graph import Interval, overlaps
from planner.judge.forbidden import BEYOND_APERTURE, PINNED_DOORBELL, Binding, Forbidden
from planner.region import GuestMap, Kind, Region
from planner.span import Span
from planner.units import show_size

__all__ = ["collisions", "judge_ram", "relaxable_covered"]


def collisions(
    regions: Iterable[Region], forbidden: Iterable[Forbidden]
) -> Iterator[tuple[Region, Forbidden, Span]]:
    """Yield each memory region with each forbidden entry it overlaps, in address order."""
    guest = {f"g{i}": region for i, region in enumerate(regions) if region.kind.must_map}
    host = {f"h{i}": entry for i, entry in enumerate(forbidden)}
    nodes = [Interval(name, region.span, "guest") for name, region in guest.items()]
    nodes += [Interval(name, entry.span, "host") for name, entry in host.items()]
    for overlap in overlaps(nodes, across=True):
        first, second = overlap.first.name, overlap.second.name
        mine, theirs = (first, second) if first in guest else (second, first)
        yield guest[mine], host[theirs], overlap.span


def collision_finding(region: Region, entry: Forbidden, shared: Span, help_text: str) -> Finding:
    """Put one collision in words."""
    code = "MM402" if entry.type == BEYOND_APERTURE else "MM401"
    verb = "reaches into" if code == "MM402" else "covers"
    return Finding(
        code,
        f"{_WORD.get(region.kind, region.kind.value)} '{region.name}' [{region.span}] {verb}"
        f" {entry.words}: {show_size(shared.size)} at [{shared}] cannot be mapped for DMA",
        help=help_text,
        parties=(
            Party(region.name, region.kind.value, region.span, region.origin),
            entry.party,
        ),
        overlap=shared,
        loc=region.origin.loc,
    )


_WORD = {Kind.RAM: "RAM", Kind.ROM: "ROM", Kind.NVRAM: "NVRAM"}


def judge_ram(guest: GuestMap, binding: Binding, help_text: str = "") -> list[Finding]:
    """Return a finding for each piece of guest memory over each forbidden range."""
    return [
        collision_finding(region, entry, shared, help_text or _advice(region, entry))
        for region, entry, shared in collisions(guest.regions, binding.forbidden)
        if entry.type != PINNED_DOORBELL
    ]


def _advice(region: Region, entry: Forbidden) -> str:
    room = entry.span.start - region.span.start
    if room <= 0:
        return (
            f"the region starts inside the range; the next address past it is {entry.span.end:#x}"
        )
    return f"at most {show_size(room)} fit at {region.span.start:#x} before the range"


def relaxable_covered(guest: GuestMap, binding: Binding) -> list[Finding]:
    """Note where guest memory covers ``direct-relaxable`` ranges, which the kernel allows."""
    found: list[Finding] = []
    for host in binding.hosts:
        spans = {
            region.span: region
            for group in host.groups_in(binding.scope, binding.devices)
            for region in group.regions
            if not region.forbids
        }
        for span, region in sorted(spans.items()):
            hit = next(
                (r for r in guest.regions if r.kind.must_map and r.span.overlaps(span)), None
            )
            if hit:
                found.append(
                    Finding(
                        "MM410",
                        f"'{hit.name}' [{hit.span}] covers {region.type} [{span}] on {host.name},"
                        " which the kernel allows",
                        help="nothing needs doing",
                        parties=(
                            Party(hit.name, hit.kind.value, hit.span, hit.origin),
                            Party(region.type, region.type, span, region.origin, host.name),
                        ),
                        overlap=hit.span.intersection(span),
                    )
                )
    return found
