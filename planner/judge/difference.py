"""Plan against the real map: every difference is a finding, none is ignored.

What VFIO maps must be byte for byte as planned. Emulated registers do not matter to DMA: a
difference there is told as a note (a firmware image, for instance, brings the ACPI device along).
"""

from __future__ import annotations

from collections.abc import Iterable

from planner.findings import Finding, Party
from planner.judge.collision import collisions
from planner.judge.forbidden import Forbidden
from planner.judge.ram import collision_finding
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
        found += [_one_sided("MM601", span, kind, regions) for span in ours - theirs]
        found += [_one_sided("MM602", span, kind, real.regions) for span in theirs - ours]
    found += _windows(tuple(windows), real)
    met = collisions(real.regions, forbidden)
    return found + [collision_finding(each, "end this QEMU before it runs") for each in met]


def _one_sided(code: str, span: Span, kind: Kind, regions: Iterable[Region]) -> Finding:
    """Say what the plan has alone (MM601) or QEMU has alone (MM602), registers as MM603."""
    owner = next((r for r in regions if r.kind is kind and r.span.overlaps(span)), None)
    name = owner.name if owner else kind.value
    where = owner.span if owner else span
    what = f"{kind.value} '{name}' at [{span}] ({show_size(span.size)})"
    if code == "MM601":
        message = f"the plan has {what}, QEMU has not"
        parties = (Party(name, kind.value, where, _PLAN), Party("the real map", kind.value))
    else:
        message = f"QEMU has {what}, the plan has not"
        parties = (Party("the plan", kind.value), Party(name, kind.value, where, _REAL))
    return Finding(
        code if kind.dma else "MM603",
        message,
        help=_HELP if kind.dma else "",
        parties=parties,
        overlap=span,
    )


_PLAN, _REAL = Origin("the plan"), Origin("QEMU's real map")
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
                    *(Party("the plan", kind.value, span, _PLAN) for span in ours),
                    *(Party("the real map", kind.value, span, _REAL) for span in theirs),
                ),
            )
        )
    return found


def _spans(spans: list[Span]) -> str:
    return ", ".join(f"[{span}]" for span in spans) or "nowhere"
