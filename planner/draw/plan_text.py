"""A plan for people: the map as a picture in text, then what was decided.

The same text goes to terminals and pipes; only colour differs. Nothing is wrapped or cut.
"""

from __future__ import annotations

from planner.draw.columns import exhibit_columns
from planner.draw.exhibit import Exhibit
from planner.draw.paint import Paint, plain
from planner.draw.rows import rows, rows_text
from planner.place.plan import Plan
from planner.region import GuestMap
from planner.units import show_size

__all__ = ["plan_text"]


def plan_text(plan: Plan, *, paint: Paint = plain, ascii_only: bool = False) -> list[str]:
    """Return the answer of ``guestmap plan``, findings aside, as lines.

    :param ascii_only: draw with ASCII marks.
    """
    lines = [_headline(plan, paint)]
    if plan.guest:
        lines += ["", *_picture(plan, plan.guest, paint, ascii_only=ascii_only)]
        lines += ["", *_summary(plan, paint)]
    return lines


def _headline(plan: Plan, paint: Paint) -> str:
    spec = plan.layout.machine
    machine = f"{spec.type} {spec.version}".strip()
    hosts = ", ".join(host.name for host in plan.binding.hosts) or "no host"
    text = f"{plan.layout.name}: {show_size(plan.layout.memory.size)} on {machine}"
    verdict = "planned" if plan.ok else "cannot be planned"
    return (
        f"{paint(text, 'bold')}, against {hosts} (scope {plan.binding.scope.value}):"
        f" {paint(verdict, 'bold' if plan.ok else 'error')}"
    )


def _picture(plan: Plan, guest: GuestMap, paint: Paint, *, ascii_only: bool) -> list[str]:
    hosts = tuple(host.name for host in plan.binding.hosts)
    exhibit = Exhibit(plan.layout.name, (), guest, hosts=hosts, forbidden=plan.binding.forbidden)
    columns = exhibit_columns(exhibit, collapse=False)
    cut = rows(columns, plan.doorbell.span if plan.doorbell else None)
    return rows_text(cut, paint=paint, ascii_only=ascii_only)


def _summary(plan: Plan, paint: Paint) -> list[str]:
    lines: list[tuple[str, str]] = []
    if plan.placement:
        placed = plan.placement
        boot = ", ".join(f"[{region.span}]" for region in placed.boot)
        lines.append(("boot memory", f"{show_size(placed.boot_bytes)} at {boot}"))
        lines += [
            (piece.name, f"{show_size(piece.span.size)} at [{piece.span}]")
            for piece in placed.pieces
        ]
        request = placed.request
        knobs = f"-m {show_size(request.boot_bytes)}"
        if request.max_bytes:
            knobs += f", slots {request.slots}, maxmem {show_size(request.max_bytes)}"
        knobs += "".join(f", {k}={v}" for k, v in {**request.options, **request.globals}.items())
        lines.append(("machine", knobs))
    lines.append(("most in one", show_size(plan.max_boot_bytes) if plan.max_boot_bytes else "none"))
    if plan.doorbell:
        where = f"[{plan.doorbell.span}]" if plan.doorbell.span else "none"
        by = plan.doorbell.realised_by.value
        lines.append(("doorbell", f"{where}, {plan.doorbell.choice.value}: {plan.doorbell.reason}"))
        lines.append(("realised by", by))
    width = max(len(label) for label, _ in lines)
    return [f"{paint(f'{label:<{width}}', 'dim')}  {text}" for label, text in lines]
