"""Guest memory over forbidden ranges: what the kernel would refuse to map.

VFIO refuses a mapping outside the ranges its group leaves usable: ``VFIO_IOMMU_MAP_DMA`` answers
EINVAL (drivers/vfio/vfio_iommu_type1.c ``vfio_iommu_iova_dma_valid()``, Linux 5.4 on), which QEMU
shows as ``vfio_dma_map(...) = -22 (Invalid argument)``. Emulated MMIO is never mapped, so only
memory-backed kinds are judged.
"""

from __future__ import annotations

from planner.findings import Finding
from planner.judge.collision import Collision, collisions
from planner.judge.forbidden import PINNED_DOORBELL, Binding, Forbidden
from planner.region import GuestMap, Kind
from planner.units import show_size

__all__ = ["collision_finding", "judge_ram", "relaxable_covered"]


def collision_finding(met: Collision, help_text: str) -> Finding:
    """Say of one collision that the kernel will not map it."""
    word = _WORD.get(met.mine.kind, met.mine.kind.value)
    message = f"{met.words(word)}: {met.sized} cannot be mapped for DMA"
    return met.finding(met.code, message, help_text, loc=met.mine.origin.loc)


_WORD: dict[str, str] = {Kind.RAM: "RAM", Kind.ROM: "ROM", Kind.NVRAM: "NVRAM"}


def judge_ram(guest: GuestMap, binding: Binding, help_text: str = "") -> list[Finding]:
    """Return a finding for each piece of guest memory over each forbidden range."""
    return [
        collision_finding(met, help_text or _advice(met))
        for met in collisions(guest.regions, binding.forbidden)
        if met.entry.type != PINNED_DOORBELL
    ]


def _advice(met: Collision) -> str:
    start = met.mine.span.start
    room, past = met.entry.span.start - start, met.entry.span.end
    if room <= 0:
        return f"the region starts inside the range; the next address past it is {past:#x}"
    return f"at most {show_size(room)} fit at {start:#x} before the range"


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
            shared = hit and hit.span.intersection(span)
            if hit and shared:
                # It forbids nothing, but is named like what does.
                entry = Forbidden(span, region.type, host.name, origin=region.origin)
                met = Collision(hit, entry, shared)
                message = f"{met.words()}, which the kernel allows"
                found.append(met.finding("MM410", message, "nothing needs doing"))
    return found
