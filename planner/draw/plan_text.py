"""A plan for people: the map as a picture in text, then what was decided.

The same text goes to terminals and pipes; only colour differs. Nothing is wrapped or cut.
"""

from __future__ import annotations

from collections.abc import Iterable

from planner.draw.axis import Row, rows
from planner.draw.paint import Paint, plain
from planner.judge.forbidden import BEYOND_APERTURE, shorten
from planner.place.plan import Plan
from planner.units import show_size

__all__ = ["plan_text"]

_MARKS = {
    "ram": "█",
    "hole": "▒",
    "clash": "▓",
    "doorbell": "◆",
    "window": "░",
    "io": "·",
    "free": " ",
}
_ASCII = {
    "ram": "#",
    "hole": "x",
    "clash": "!",
    "doorbell": "*",
    "window": ":",
    "io": ".",
    "free": " ",
}


def plan_text(plan: Plan, *, paint: Paint = plain, ascii_only: bool = False) -> str:
    """Write the answer of ``guestmap plan``, findings aside.

    :param paint: called with a text and a style name (``ram``, ``hole``, ``clash``, ``doorbell``,
        ``window``, ``io``, ``dim``, ``bold``, ``error``, ``warning``, ``note``).
    :param ascii_only: draw with ASCII marks.
    """
    parts = [_headline(plan, paint)]
    if plan.guest:
        parts.append(_picture(plan, paint, _ASCII if ascii_only else _MARKS))
        parts.append(_summary(plan, paint))
    return "\n\n".join(parts) + "\n"


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


def _picture(plan: Plan, paint: Paint, marks: dict[str, str]) -> str:
    assert plan.guest is not None
    cut = [row for row in rows(plan.guest, plan.binding.forbidden, plan.doorbell) if _shown(row)]
    width = max((len(f"{row.span.last:x}") for row in cut), default=8)
    table = [(_style(row), row, show_size(row.span.size), *_words(row)) for row in cut]
    size_width = max((len(size) for _, _, size, _, _ in table), default=4)
    what_width = max((len(what) for *_, what, _ in table), default=5)
    lines = [
        paint(
            f"  {'base':<{width + 2}}  {'last':<{width + 2}}  {'size':>{size_width}}"
            f"  {'guest':<{what_width}}  hosts forbid",
            "dim",
        ).rstrip()
    ]
    for style, row, size, what, hosts in table:
        text = (
            f"{row.span.start:#0{width + 2}x}  {row.span.last:#0{width + 2}x}"
            f"  {size:>{size_width}}  {what:<{what_width}}  {hosts}"
        ).rstrip()
        lines.append(f"{paint(marks[style], style)} {paint(text, style)}")
    used = dict.fromkeys(style for style, *_ in table)
    legend = "  ".join(f"{paint(marks[s], s)} {_LEGEND[s]}" for s in _LEGEND if s in used)
    return "\n".join([*lines, paint(f"  {legend}", "dim")])


_LEGEND = {
    "ram": "memory",
    "clash": "memory over a forbidden range",
    "hole": "forbidden",
    "doorbell": "doorbell",
    "window": "window",
    "io": "machine",
}


def _shown(row: Row) -> bool:
    """Leave out what only says that nobody can address it."""
    return not (
        not row.guest
        and not row.windows
        and row.forbidden
        and all(entry.type == BEYOND_APERTURE for entry in row.forbidden)
    )


def _style(row: Row) -> str:
    if row.collides:
        return "clash"
    if row.doorbell:
        return "doorbell"
    if any(region.kind.must_map for region in row.guest):
        return "ram"
    if row.forbidden:
        return "hole"
    if row.windows:
        return "window"
    return "io" if row.guest else "free"


def _words(row: Row) -> tuple[str, str]:
    """Return the guest's and the hosts' column of a row."""
    names = [f"{r.name} ({r.kind.value})" for r in row.guest if r.kind.must_map]
    machine = [r.name for r in row.guest if not r.kind.must_map and r.name not in names]
    if len(machine) > 2:
        names.append(f"{len(machine)} machine regions: {machine[0]} … {machine[-1]}")
    else:
        names += machine
    names += [f"{w.name} window" for w in row.windows if w.name not in machine]
    if row.doorbell:
        names.insert(0, "doorbell")
    by_kind: dict[tuple[str, str], list[str]] = {}
    for entry in row.forbidden:
        by_kind.setdefault((entry.type, entry.host), []).extend(entry.groups)
    hosts = [
        f"{word} {host}" + (f" ({_groups(groups)})" if groups else "")
        for (word, host), groups in sorted(by_kind.items())
    ]
    return ", ".join(names) or "free", "; ".join(hosts)


def _groups(groups: Iterable[str]) -> str:
    listed = list(dict.fromkeys(groups))
    return f"{'group' if len(listed) == 1 else 'groups'} {shorten(listed)}"


def _summary(plan: Plan, paint: Paint) -> str:
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
    return "\n".join(f"{paint(f'{label:<{width}}', 'dim')}  {text}" for label, text in lines)
