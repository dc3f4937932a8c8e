"""One address axis for everything that is drawn: who is where, cut at every bound.

An address space is 2**48 wide and what matters is 1 MiB, so a picture cannot be to scale. The axis
keeps the order and gives every stretch between two bounds one row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from planner.judge.forbidden import Forbidden
from planner.place.doorbell import Doorbell
from planner.region import GuestMap, Kind, Region, Window
from planner.span import MIB, Span

__all__ = ["FOLD_BELOW", "Row", "rows"]

#: Free stretches below this are folded into the run of machine regions around them.
FOLD_BELOW = 16 * MIB


_Thing = Region | Window | Forbidden


@dataclass(frozen=True, slots=True)
class Row:
    """A stretch of addresses over which nothing changes, or a run of small machine regions."""

    span: Span
    #: Guest regions there, usually one; a run of machine I/O is folded into one row.
    guest: tuple[Region, ...]
    windows: tuple[Window, ...]
    forbidden: tuple[Forbidden, ...]
    doorbell: bool

    @property
    def ram(self) -> bool:
        """Whether guest RAM is there."""
        return any(region.kind is Kind.RAM for region in self.guest)

    @property
    def collides(self) -> bool:
        """Whether memory that must be mapped meets a forbidden range."""
        return bool(self.forbidden) and any(region.kind.must_map for region in self.guest)

    @property
    def empty(self) -> bool:
        """Whether nothing at all is there."""
        return not (self.guest or self.windows or self.forbidden or self.doorbell)


def rows(
    guest: GuestMap, forbidden: Iterable[Forbidden] = (), doorbell: Doorbell | None = None
) -> list[Row]:
    """Cut the address space at every bound and fold runs of machine I/O.

    Stretches above the last bound anybody names are left out.
    """
    window = doorbell.span if doorbell else None
    things: list[_Thing] = [*guest.regions, *guest.windows, *sorted(forbidden)]
    ending: dict[int, list[_Thing]] = {}
    starting: dict[int, list[_Thing]] = {}
    for thing in things:
        starting.setdefault(thing.span.start, []).append(thing)
        ending.setdefault(thing.span.end, []).append(thing)
    bounds = {*starting, *ending, *((window.start, window.end) if window else ())}
    # A sweep, so that a thousand ranges cost a thousand steps; dicts keep the order of arrival.
    here: dict[_Thing, None] = {}
    cut: list[Row] = []
    at = 0
    for bound in sorted(bounds):
        if at < bound:
            span = Span(at, bound)
            cut.append(
                Row(
                    span,
                    tuple(thing for thing in here if isinstance(thing, Region)),
                    tuple(thing for thing in here if isinstance(thing, Window)),
                    tuple(thing for thing in here if isinstance(thing, Forbidden)),
                    doorbell=bool(window and window.overlaps(span)),
                )
            )
        for thing in ending.get(bound, ()):
            del here[thing]
        here |= dict.fromkeys(starting.get(bound, ()))
        at = bound
    return _folded(cut)


def _quiet(row: Row) -> bool:
    """Say whether a row is machine regions that are never mapped, or nothing."""
    return not (row.windows or row.doorbell or any(region.kind.must_map for region in row.guest))


def _folded(cut: list[Row]) -> list[Row]:
    """Join rows of the same content, and runs of machine regions with only small gaps between."""
    runs: list[list[Row]] = []
    for row in cut:
        if runs and _joins(runs[-1][-1], row):
            runs[-1].append(row)
        elif len(runs) > 1 and _small_gap(runs[-1]) and _joins(runs[-2][-1], row):
            runs.pop()
            runs[-1].append(row)
        else:
            runs.append([row])
    return [_joined(run) for run in runs]


def _joins(last: Row, row: Row) -> bool:
    if (last.windows, last.forbidden, last.doorbell) != (row.windows, row.forbidden, row.doorbell):
        return False
    if last.guest == row.guest:
        return True
    if not (_quiet(last) and _quiet(row)):
        return False
    # Over a forbidden range only the range matters; elsewhere free space keeps a row of its own.
    return bool(row.forbidden) or bool(last.guest and row.guest)


def _small_gap(run: list[Row]) -> bool:
    return len(run) == 1 and run[0].empty and run[0].span.size < FOLD_BELOW


def _joined(run: list[Row]) -> Row:
    first = run[0]
    span = Span(first.span.start, run[-1].span.end)
    guest = tuple(dict.fromkeys(region for row in run for region in row.guest))
    return Row(span, guest, first.windows, first.forbidden, doorbell=first.doorbell)
