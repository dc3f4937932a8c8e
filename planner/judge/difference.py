"""Plan against the real map: every difference is a finding, none is ignored.

What VFIO maps must be byte for byte as planned. Emulated registers do not matter to DMA: a
difference there is told as a note (a firmware image, for instance, brings the ACPI device along).
"""

from __future__ import annotations

from collections.abc import Iterable

from planner.findings import Finding, Party
from planner.judge.forbidden import Forbidden
from planner.judge.ram import collision_finding, collisions
from planner.region import GuestMap, Kind, Origin, Region, Window
from planner.span import Span, SpanSet
from planner.units import show_size

__all__ = ["compare_maps"]


def compare_maps(
    planned: Iterable[Region],
    windows: Iterable[Window],
    real: GuestMap,
    forbidden: Iterable[Forbidden] = (),
) -> list[Finding]:
    """Compare a plan's regions and windows with a real map.

    :param forbidden: what the plan's hosts forbid; real memory over it is an error in any case.
    """
    regions = tuple(planned)
    found: list[Finding] = []
    for kind in Kind:
        ours = SpanSet(region.span for region in regions if region.kind is kind)
        theirs = SpanSet(region.span for region in real.of_kind(kind))
        found += [_missing(span, kind, regions) for span in ours - theirs]
        found += [_extra(span, kind, real) for span in theirs - ours]
    found += _windows(tuple(windows), real)
    for region, entry, shared in collisions(real.regions, forbidden):
        found.append(collision_finding(region, entry, shared, "end this QEMU before it runs"))
    return found


def _covering(regions: Iterable[Region], span: Span, kind: Kind) -> Region | None:
    return next((r for r in regions if r.kind is kind and r.span.overlaps(span)), None)


def _missing(span: Span, kind: Kind, planned: tuple[Region, ...]) -> Finding:
    owner = _covering(planned, span, kind)
    name = owner.name if owner else kind.value
    return Finding(
        "MM601" if kind.dma else "MM603",
        f"the plan has {kind.value} '{name}' at [{span}] ({show_size(span.size)}), QEMU has not",
        help=_HELP if kind.dma else "",
        parties=(
            Party(name, kind.value, owner.span if owner else span, Origin("the plan")),
            Party("the real map", kind.value),
        ),
        overlap=span,
    )


def _extra(span: Span, kind: Kind, real: GuestMap) -> Finding:
    owner = _covering(real.regions, span, kind)
    name = owner.name if owner else kind.value
    return Finding(
        "MM602" if kind.dma else "MM603",
        f"QEMU has {kind.value} '{name}' at [{span}] ({show_size(span.size)}), the plan has not",
        help=_HELP if kind.dma else "",
        parties=(
            Party("the plan", kind.value),
            Party(name, kind.value, owner.span if owner else span, Origin("QEMU's real map")),
        ),
        overlap=span,
    )


_HELP = "start QEMU with the plan's own arguments, 'guestmap args', or make a new plan"


def _windows(planned: tuple[Window, ...], real: GuestMap) -> list[Finding]:
    """Compare windows by kind."""
    found: list[Finding] = []
    for kind in dict.fromkeys(window.kind for window in (*planned, *real.windows)):
        ours = sorted(window.span for window in planned if window.kind is kind)
        theirs = sorted(window.span for window in real.windows if window.kind is kind)
        if ours == theirs:
            continue
        found.append(
            Finding(
                "MM604",
                f"the {kind.value} window is planned at {_spans(ours)} and is at {_spans(theirs)}",
                help=_HELP,
                parties=(
                    *(Party("the plan", kind.value, span, Origin("the plan")) for span in ours),
                    *(
                        Party("the real map", kind.value, span, Origin("QEMU's real map"))
                        for span in theirs
                    ),
                ),
            )
        )
    return found


def _spans(spans: list[Span]) -> str:
    return ", ".join(f"[{span}]" for span in spans) or "nowhere"
