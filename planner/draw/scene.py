"""What a picture shows, before anybody decides how it looks: columns of boxes on one folded scale.

An address space is 2**64 wide and what matters is 1 MiB. The scale keeps the order of addresses and
gives every stretch between two bounds a height of its own that a line of text fits in; heights grow
with the logarithm of the size. SVG, HTML, text, GraphML and JSON are all drawn from a scene.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise

from planner.findings import Finding
from planner.graph import Interval, Pileup, clusters, lanes, pileups
from planner.region import Kind
from planner.span import ADDRESS_LIMIT, Span
from planner.units import show_size

__all__ = ["Box", "Clash", "Column", "Fate", "Role", "Scene", "Stretch", "Style", "make_scene"]

_MUST_MAP = frozenset(kind.value for kind in Kind if kind.must_map)

#: Height of a line of text, in the picture's own units (CSS pixels in SVG).
LINE = 15
#: Least height of a stretch: one line of text.
LEAST = 17


class Style(StrEnum):
    """How a box looks; its word in legends and class in style sheets."""

    RAM = "ram"
    ROM = "rom"
    IO = "io"
    WINDOW = "window"
    DOORBELL = "doorbell"
    HOLE = "hole"
    ADVICE = "advice"
    USABLE = "usable"


class Fate(StrEnum):
    """What became of a box between two maps."""

    SAME = ""
    ADDED = "added"
    REMOVED = "removed"
    MOVED = "moved"
    RESIZED = "resized"
    CHANGED = "changed"


class Role(StrEnum):
    """What a column stands for."""

    GUEST = "guest"
    HOST = "host"
    USABLE = "usable"


@dataclass(frozen=True, slots=True)
class Box:
    """One region, or a run of equal ones, in one column."""

    #: Unique in a scene and stable: column key, a slash, a number in address order.
    id: str
    name: str
    #: In words: ``ram``, ``pci-mmio32 window``, ``msi``.
    kind: str
    style: Style
    span: Span
    origin: str = ""
    #: Further facts, one each: groups, devices, what a run consists of.
    facts: tuple[str, ...] = ()
    #: How many regions a collapsed run stands for.
    count: int = 1
    lane: int = 0
    #: Lanes among the boxes it overlaps with, itself included: its share of the column's width.
    of_lanes: int = 1
    fate: Fate = Fate.SAME
    #: Whether it is what lies above an IOMMU's address bits, and so not worth a look by itself.
    beyond: bool = False

    @property
    def must_map(self) -> bool:
        """Whether it is guest memory that must be mapped for devices."""
        return self.kind in _MUST_MAP

    @property
    def title(self) -> str:
        """The name, with the number of members of a run."""
        return f"{self.name} ×{self.count}" if self.count > 1 else self.name

    @property
    def words(self) -> str:
        """Everything about the box in one line, for tooltips and screen readers."""
        parts = [f"{self.title}: {self.kind}", f"[{self.span}]", show_size(self.span.size)]
        parts += self.facts
        if self.origin:
            parts.append(f"from {self.origin}")
        if self.fate:
            parts.append(self.fate.value)
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Column:
    """One side of the picture."""

    key: str
    title: str
    role: Role
    boxes: tuple[Box, ...]
    subtitle: str = ""

    @property
    def lanes(self) -> int:
        """Most boxes side by side."""
        return max((box.of_lanes for box in self.boxes), default=1)


@dataclass(frozen=True, slots=True)
class Stretch:
    """One step of the folded scale."""

    span: Span
    height: int
    #: Whether any guest or host has something there.
    busy: bool


@dataclass(frozen=True, slots=True)
class Clash:
    """Guest memory over a range that a host forbids."""

    span: Span
    guest: str
    host: str
    #: Ids of the two boxes.
    boxes: tuple[str, str]

    @property
    def words(self) -> str:
        """The collision in one line."""
        return f"{self.guest} meets {self.host}: {show_size(self.span.size)} at [{self.span}]"


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything a picture shows."""

    title: str
    #: Facts under the title.
    facts: tuple[str, ...]
    columns: tuple[Column, ...]
    stretches: tuple[Stretch, ...]
    clashes: tuple[Clash, ...]
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    #: What the notes are: ``notes``, ``differences``.
    notes_are: str = "notes"

    @property
    def boxes(self) -> tuple[Box, ...]:
        """Every box, column by column."""
        return tuple(box for column in self.columns for box in column.boxes)

    @property
    def pileups(self) -> list[Pileup]:
        """Where more than two meet, for each guest by itself."""
        spans = {box.id: box.span for box in self.boxes}
        sides: dict[str, tuple[dict[str, Interval], dict[str, Interval]]] = {}
        for clash in self.clashes:
            mine, theirs = clash.boxes
            guest, hosts = sides.setdefault(mine.partition("/")[0], ({}, {}))
            guest[mine] = Interval(clash.guest, spans[mine])
            hosts[theirs] = Interval(clash.host, spans[theirs])
        piles = (pileups(guest.values(), hosts.values()) for guest, hosts in sides.values())
        return [pile for found in piles for pile in found]

    @property
    def height(self) -> int:
        """Height of the whole scale."""
        return sum(stretch.height for stretch in self.stretches)

    def styles(self) -> tuple[Style, ...]:
        """Return the styles in use, in the order of legends."""
        used = {box.style for box in self.boxes}
        return tuple(style for style in Style if style in used)


def make_scene(
    title: str,
    facts: Iterable[str],
    columns: Iterable[Column],
    clashes: Iterable[Clash] = (),
    *,
    findings: Iterable[Finding] = (),
    notes: Iterable[str] = (),
) -> Scene:
    """Lay the columns on one scale: lanes for each, a height for every stretch."""
    listed = tuple(_in_lanes(column) for column in columns)
    met = tuple(sorted(clashes, key=lambda clash: (clash.span, clash.boxes)))
    stretches = _scale(listed, met)
    return Scene(title, tuple(facts), listed, stretches, met, tuple(findings), tuple(notes))


def _in_lanes(column: Column) -> Column:
    """Put overlapping boxes side by side; only those that overlap share the width."""
    boxes = {box.id: box for box in column.boxes}
    chains = clusters(Interval(box.id, box.span) for box in column.boxes)
    placed = [_side_by_side([boxes[interval.name] for interval in chain]) for chain in chains]
    return replace(column, boxes=tuple(box for side_by_side in placed for box in side_by_side))


#: What things are put into, or what binds nothing, stands to the right of what is there.
_BEHIND = (Style.WINDOW, Style.ADVICE)


def _side_by_side(cluster: Sequence[Box]) -> list[Box]:
    lane_of = lanes(Interval(b.id, b.span) for b in cluster if b.style not in _BEHIND)
    first = max(lane_of.values(), default=-1) + 1
    behind = lanes(Interval(b.id, b.span) for b in cluster if b.style in _BEHIND)
    lane_of |= {ident: lane + first for ident, lane in behind.items()}
    width = max(lane_of.values(), default=0) + 1
    return [replace(box, lane=lane_of[box.id], of_lanes=width) for box in cluster]


def _scale(columns: Sequence[Column], clashes: Sequence[Clash]) -> tuple[Stretch, ...]:
    """Cut the whole space at every bound and give each piece its height."""
    spans = [box.span for column in columns for box in column.boxes]
    bounds = sorted({0, ADDRESS_LIMIT, *(b for span in spans for b in (span.start, span.end))})
    index = {bound: number for number, bound in enumerate(bounds)}
    pieces = [Span(start, end) for start, end in pairwise(bounds)]
    busy = [False] * len(pieces)
    for column in columns:
        if column.role is Role.USABLE:
            continue
        for box in column.boxes:
            if box.style is Style.ADVICE:
                continue
            first, end = index[box.span.start], index[box.span.end]
            busy[first:end] = [True] * (end - first)
    heights = [_height(piece, at) for piece, at in zip(pieces, busy, strict=True)]
    wants = [(box.span, _want(box)) for column in columns for box in column.boxes]
    wants += [(clash.span, 2 * LINE + 8) for clash in clashes]
    # Boxes of few pieces first: what they gain counts for the larger ones around them.
    for span, want in sorted(wants, key=lambda w: (index[w[0].end] - index[w[0].start], w)):
        first, end = index[span.start], index[span.end]
        missing = want - sum(heights[first:end])
        if missing > 0:
            share, rest = divmod(missing, end - first)
            for number in range(first, end):
                heights[number] += share + (number - first < rest)
    return tuple(map(Stretch, pieces, heights, busy))


def _height(span: Span, busy: bool) -> int:
    """Return what a stretch takes by its size: 16 times the size adds some lines' worth."""
    steps = max(span.size.bit_length() - 12, 0)
    return LEAST + (min(steps, 36) * 3 // 4 if busy else min(steps, 24) // 3)


def _want(box: Box) -> int:
    """Return the least height a box is read well at."""
    if box.style in (Style.IO, Style.USABLE):
        return LEAST
    return 2 * LINE + 5
