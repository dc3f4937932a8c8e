"""The short picture: one row a stretch of addresses, registers folded, all hosts in one column.

It shows the columns of a scene to who wants the answer and not every register.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from planner.draw.looks import CLASH, FREE, LOOKS, Look
from planner.draw.paint import Paint, plain
from planner.draw.scene import Box, Column, Role, Style
from planner.span import MIB, Span
from planner.units import show_size

__all__ = ["FOLD_BELOW", "Row", "rows", "rows_text"]

#: Free stretches below this are folded into the run of machine regions around them.
FOLD_BELOW = 16 * MIB
#: Looks in the order of the legend.
_LEGEND = (
    LOOKS[Style.RAM],
    CLASH,
    *(LOOKS[style] for style in (Style.HOLE, Style.DOORBELL, Style.WINDOW, Style.IO)),
)


@dataclass(frozen=True, slots=True)
class Row:
    """A stretch of addresses over which nothing changes, or a run of small machine regions."""

    span: Span
    #: Guest regions there, usually one; a run of machine I/O is folded into one row.
    guest: tuple[Box, ...]
    windows: tuple[Box, ...]
    #: What is forbidden there, with the title of the host's column.
    forbidden: tuple[tuple[str, Box], ...]
    doorbell: bool

    @property
    def memory(self) -> bool:
        """Whether memory is there that must be mapped."""
        return any(box.must_map for box in self.guest)

    @property
    def quiet(self) -> bool:
        """Whether only machine regions are there that are never mapped, or nothing."""
        return not (self.windows or self.doorbell or self.memory)

    @property
    def small_gap(self) -> bool:
        """Whether nothing at all is there, and little of it."""
        nothing = self.quiet and not (self.guest or self.forbidden)
        return nothing and self.span.size < FOLD_BELOW

    @property
    def out_of_reach(self) -> bool:
        """Whether all there is to say is that nobody can address it."""
        known = self.guest or self.windows
        return not known and bool(self.forbidden) and all(box.beyond for _, box in self.forbidden)

    @property
    def look(self) -> Look:
        """The look of the most telling thing there."""
        if self.memory:
            return CLASH if self.forbidden else LOOKS[Style.RAM]
        for there, style in (
            (self.doorbell, Style.DOORBELL),
            (self.forbidden, Style.HOLE),
            (self.windows, Style.WINDOW),
            (self.guest, Style.IO),
        ):
            if there:
                return LOOKS[style]
        return FREE

    def words(self) -> tuple[str, str]:
        """Return the guest's and the hosts' cell."""
        names = ["doorbell"] if self.doorbell else []
        names += [f"{box.name} ({box.kind})" for box in self.guest if box.must_map]
        machine = [box.name for box in self.guest if not box.must_map]
        if len(machine) > 2:
            names.append(f"{len(machine)} machine regions: {machine[0]} … {machine[-1]}")
        else:
            names += machine
        names += [f"{box.name} window" for box in self.windows if box.name not in machine]
        hosts = {
            f"{box.name} {host}" + "".join(f" ({groups})" for groups in box.facts[:1])
            for host, box in self.forbidden
        }
        return ", ".join(names) or "free", "; ".join(sorted(hosts))


def rows(columns: Iterable[Column], doorbell: Span | None = None) -> list[Row]:
    """Cut the address space at every bound and fold runs of machine I/O.

    Stretches above the last bound anybody names are left out.

    :param columns: of one guest and of hosts, drawn without collapsing.
    :param doorbell: the window that was chosen.
    """
    things = sorted(
        ((column, box) for column in columns for box in column.boxes),
        key=lambda thing: thing[1].span,
    )
    ending: dict[int, list[str]] = {}
    starting: dict[int, dict[str, tuple[Column, Box]]] = {}
    for column, box in things:
        starting.setdefault(box.span.start, {})[box.id] = (column, box)
        ending.setdefault(box.span.end, []).append(box.id)
    bounds = {*starting, *ending, *((doorbell.start, doorbell.end) if doorbell else ())}
    # A sweep, so that a thousand ranges cost a thousand steps; dicts keep the order of arrival.
    here: dict[str, tuple[Column, Box]] = {}
    runs: list[list[Row]] = []
    at = 0
    for bound in sorted(bounds):
        if at < bound:
            span = Span(at, bound)
            there = here.values()
            guest = [box for column, box in there if column.role is Role.GUEST]
            row = Row(
                span,
                tuple(box for box in guest if box.style is not Style.WINDOW),
                tuple(box for box in guest if box.style is Style.WINDOW),
                tuple((c.title, box) for c, box in there if c.role is Role.HOST),
                doorbell=bool(doorbell and doorbell.overlaps(span)),
            )
            _add(row, runs)
        for ident in ending.get(bound, ()):
            del here[ident]
        here |= starting.get(bound, {})
        at = bound
    return [_joined(run) for run in runs]


def _add(row: Row, runs: list[list[Row]]) -> None:
    """Add a row to the run of the same content, or of machine regions with only small gaps."""
    if runs and _joins(runs[-1][-1], row):
        runs[-1].append(row)
    elif len(runs) > 1 and [r.small_gap for r in runs[-1]] == [True] and _joins(runs[-2][-1], row):
        runs.pop()
        runs[-1].append(row)
    else:
        runs.append([row])


def _joins(last: Row, row: Row) -> bool:
    if (last.windows, last.forbidden, last.doorbell) != (row.windows, row.forbidden, row.doorbell):
        return False
    if last.guest == row.guest:
        return True
    if not (last.quiet and row.quiet):
        return False
    # Over a forbidden range only the range matters; elsewhere free space keeps a row of its own.
    return bool(row.forbidden) or bool(last.guest and row.guest)


def _joined(run: list[Row]) -> Row:
    first = run[0]
    span = Span(first.span.start, run[-1].span.end)
    guest = tuple(dict.fromkeys(box for row in run for box in row.guest))
    return Row(span, guest, first.windows, first.forbidden, doorbell=first.doorbell)


def rows_text(cut: Iterable[Row], *, paint: Paint = plain, ascii_only: bool = False) -> list[str]:
    """Return rows as the lines of a table with a legend, what nobody can address left out.

    :param ascii_only: draw with ASCII marks.
    """
    shown = [row for row in cut if not row.out_of_reach]
    width = max((len(f"{row.span.last:x}") for row in shown), default=8) + 2
    cells = [(show_size(row.span.size), *row.words()) for row in shown]
    size_width = max((len(size) for size, _, _ in cells), default=4)
    what_width = max((len(what) for _, what, _ in cells), default=5)

    def line(base: str, last: str, size: str, what: str, hosts: str) -> str:
        place = f"{base:<{width}}  {last:<{width}}  {size:>{size_width}}"
        return f"{place}  {what:<{what_width}}  {hosts}".rstrip()

    lines = [paint("  " + line("base", "last", "size", "guest", "hosts forbid"), "dim")]
    for row, (size, what, hosts) in zip(shown, cells, strict=True):
        base, last = (f"{address:#0{width}x}" for address in (row.span.start, row.span.last))
        look = row.look
        sign = paint(look.sign(ascii_only=ascii_only), look.paint)
        lines.append(f"{sign} {paint(line(base, last, size, what, hosts), look.paint)}")
    used = {row.look for row in shown}
    legend = "  ".join(
        f"{paint(look.sign(ascii_only=ascii_only), look.paint)} {look.short}"
        for look in _LEGEND
        if look in used
    )
    return [*lines, paint(f"  {legend}", "dim")]
