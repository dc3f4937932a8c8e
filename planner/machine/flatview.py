"""How overlapping pieces of an address space become what the guest sees.

QEMU renders its tree of memory regions into a flat view: where two overlap the one of higher
priority answers, and among equals the one added later (system/memory.c
``memory_region_update_container_subregions()`` and ``render_memory_region()``, QEMU 10.0).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from planner.region import Kind, Origin, Region
from planner.span import Span, SpanSet

__all__ = ["Piece", "flatten", "unique_names"]


@dataclass(frozen=True, slots=True)
class Piece:
    """One memory region before overlaps are settled."""

    span: Span
    name: str
    kind: Kind
    origin: Origin
    priority: int = 0
    doorbell: bool = False
    boot: bool = False


def flatten(pieces: Iterable[Piece]) -> tuple[Region, ...]:
    """Settle overlaps and name what is left.

    *pieces* come in the order in which QEMU adds them; sections of one piece that nothing
    separates stay whole.
    """
    ranked = sorted(enumerate(pieces), key=lambda item: (-item[1].priority, -item[0]))
    taken = SpanSet()
    seen: list[tuple[Span, Piece]] = []
    for _, piece in ranked:
        own = SpanSet([piece.span])
        seen += ((span, piece) for span in own - taken)
        taken |= own
    seen.sort(key=lambda item: item[0])
    names = unique_names([(piece.name, span.start) for span, piece in seen])
    return tuple(
        Region(span, name, piece.kind, piece.origin, piece.doorbell, piece.boot)
        for (span, piece), name in zip(seen, names, strict=True)
    )


def unique_names(named: list[tuple[str, int]]) -> list[str]:
    """Make region names unique: a name that stands alone is kept, others get their base.

    >>> unique_names([("pc.ram", 0), ("hpet", 0xfed00000), ("pc.ram", 0x100000)])
    ['pc.ram@0x0', 'hpet', 'pc.ram@0x100000']
    """
    count: dict[str, int] = {}
    for name, _ in named:
        count[name] = count.get(name, 0) + 1
    return [f"{name}@{base:#x}" if count[name] > 1 else name for name, base in named]
