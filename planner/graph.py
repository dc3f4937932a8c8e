"""The interval graph: which regions share bytes with which.

Nodes are region names, never bounds, so two regions with the same bounds are two nodes. An edge is
an overlap and carries the shared span. One sweep over sorted starts finds all edges, all clusters
or the deepest pile-up in O(n log n + what is found). ``networkx.interval_graph`` is not used: it is
O(n**2), merges equal intervals into one node and takes touching for overlapping.

The only importer of networkx, and only when a graph is asked for: the import costs 0.15 s.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from planner.span import Span

if TYPE_CHECKING:
    import networkx as nx

__all__ = [
    "Interval",
    "Overlap",
    "Pileup",
    "clusters",
    "deepest",
    "graph",
    "graphml",
    "lanes",
    "overlaps",
    "pileups",
]


class Interval(NamedTuple):
    """A named range with free attributes for whoever draws it: a node of the graph."""

    name: str
    span: Span
    #: Whose it is (``guest``, a host's name); ``overlaps(across=True)`` pairs different sides.
    side: str = ""
    kind: str = ""


class Overlap(NamedTuple):
    """Two intervals and the bytes they share; *first* sorts before *second* by start, end, name."""

    first: Interval
    second: Interval
    span: Span


class Pileup(NamedTuple):
    """Intervals that all share the same bytes."""

    members: tuple[Interval, ...]
    span: Span

    @property
    def words(self) -> str:
        """The pile-up in a sentence."""
        names = ", ".join(member.name for member in self.members)
        return f"{len(self.members)} regions meet at [{self.span}]: {names}"


def _key(interval: Interval) -> tuple[int, int, str]:
    return (interval.span.start, interval.span.end, interval.name)


def overlaps(intervals: Iterable[Interval], *, across: bool = False) -> Iterator[Overlap]:
    """Yield every pair that shares a byte, ordered by the later one's start.

    :param across: only pairs of different sides; what piles up on one side costs nothing then.
    """
    active: dict[str, list[Interval]] = {}
    for interval in sorted(intervals, key=_key):
        mine = interval.side if across else None
        for side in [side for side in active if side != mine]:
            # What has ended is dropped for good, what has not is output: linear in both.
            here = [other for other in active[side] if other.span.end > interval.span.start]
            if here:
                active[side] = here
            else:
                del active[side]
            for other in here:
                shared = Span(interval.span.start, min(other.span.end, interval.span.end))
                yield Overlap(other, interval, shared)
        active.setdefault(mine or "", []).append(interval)


def clusters(intervals: Iterable[Interval]) -> list[list[Interval]]:
    """Return what hangs together by overlaps, a lone interval included, in address order.

    They are the connected components of :func:`graph`, found without building it.
    """
    found: list[list[Interval]] = []
    end = 0
    for interval in sorted(intervals, key=_key):
        if not found or interval.span.start >= end:
            found.append([])
        found[-1].append(interval)
        end = max(end, interval.span.end)
    return found


def deepest(intervals: Iterable[Interval]) -> Pileup | None:
    """Return the most intervals that share one byte, the lowest such; None when there are none.

    The largest clique of :func:`graph`, as interval graphs are chordal, but in O(n log n): the
    graph of a thousand equal ranges has half a million edges.
    """
    listed = sorted(intervals, key=_key)
    ends: list[int] = []
    most, at = 0, 0
    for interval in listed:
        while ends and ends[0] <= interval.span.start:
            heapq.heappop(ends)
        heapq.heappush(ends, interval.span.end)
        if len(ends) > most:
            most, at = len(ends), interval.span.start
    members = tuple(interval for interval in listed if at in interval.span)
    if not members:
        return None
    return Pileup(members, Span(at, min(member.span.end for member in members)))


def pileups(mine: Iterable[Interval], theirs: Iterable[Interval], least: int = 3) -> list[Pileup]:
    """Return where *least* or more of both sides meet: the deepest place of each cluster of theirs.

    One long range of mine ties everything together, so the clusters are of the other side alone.
    """
    ours = sorted(mine, key=_key)
    found = [deepest([*ours, *cluster]) for cluster in clusters(theirs)]
    return [pile for pile in found if pile and len(pile.members) >= least]


def lanes(intervals: Iterable[Interval]) -> dict[str, int]:
    """Give each interval the lowest lane free at its start; as many lanes as the deepest pile-up.

    Interval graphs are perfect, so this greedy colouring by start is optimal.
    """
    lane_of: dict[str, int] = {}
    busy: list[tuple[int, int]] = []
    free: list[int] = []
    for interval in sorted(intervals, key=_key):
        while busy and busy[0][0] <= interval.span.start:
            heapq.heappush(free, heapq.heappop(busy)[1])
        lane = heapq.heappop(free) if free else len(busy)
        lane_of[interval.name] = lane
        heapq.heappush(busy, (interval.span.end, lane))
    return lane_of


def graph(intervals: Iterable[Interval]) -> nx.Graph[str]:
    """Build the networkx graph: nodes by name with base/last/kind/side, edges with the overlap."""
    import networkx as nx  # noqa: PLC0415  # 0.15 s that plan and --help need not pay

    listed = sorted(intervals, key=_key)
    made: nx.Graph[str] = nx.Graph()
    for interval in listed:
        made.add_node(
            interval.name,
            base=f"{interval.span.start:#x}",
            last=f"{interval.span.last:#x}",
            side=interval.side,
            kind=interval.kind,
        )
    for overlap in overlaps(listed):
        made.add_edge(
            overlap.first.name,
            overlap.second.name,
            base=f"{overlap.span.start:#x}",
            last=f"{overlap.span.last:#x}",
        )
    return made


def graphml(made: nx.Graph[str]) -> str:
    """Write the graph as GraphML."""
    import networkx as nx  # noqa: PLC0415  # as above

    return "\n".join(nx.generate_graphml(made)) + "\n"
