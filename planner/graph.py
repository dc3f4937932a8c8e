"""The interval graph: which regions share bytes with which.

Nodes are region names, never bounds, so two regions with the same bounds are two nodes. An edge is
an overlap and carries the shared span. One sweep over sorted starts finds all edges in
O(n log n + overlaps). ``networkx.interval_graph`` is not used: it is O(n**2), merges equal
intervals into one node and takes touching for overlapping.

The only importer of networkx, and only when a graph is asked for: the import costs 0.15 s.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from planner.span import Span

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["Node", "Overlap", "clusters", "deepest", "graph", "graphml", "lanes", "overlaps"]


class Node(NamedTuple):
    """A named interval with free attributes for whoever draws it."""

    name: str
    span: Span
    #: Whose it is (``guest``, a host's name); ``overlaps(across=True)`` pairs different sides.
    side: str = ""
    kind: str = ""


class Overlap(NamedTuple):
    """Two nodes and the bytes they share; *first* sorts before *second* by (start, end, name)."""

    first: Node
    second: Node
    span: Span


def _key(node: Node) -> tuple[int, int, str]:
    return (node.span.start, node.span.end, node.name)


def overlaps(nodes: Iterable[Node], *, across: bool = False) -> Iterator[Overlap]:
    """Yield every pair that shares a byte, in address order.

    :param across: only pairs of different sides.
    """
    active: list[tuple[int, int, Node]] = []
    for index, node in enumerate(sorted(nodes, key=_key)):
        # Dropping ended nodes from the whole list keeps the cost proportional to what overlaps.
        active = [entry for entry in active if entry[0] > node.span.start]
        for end, _, other in active:
            if not across or other.side != node.side:
                yield Overlap(other, node, Span(node.span.start, min(end, node.span.end)))
        active.append((node.span.end, index, node))


def lanes(nodes: Iterable[Node]) -> dict[str, int]:
    """Give each node the lowest lane free at its start; as many lanes as the deepest pile-up.

    Interval graphs are perfect, so this greedy colouring by start is optimal.
    """
    lane_of: dict[str, int] = {}
    busy: list[tuple[int, int]] = []
    free: list[int] = []
    for node in sorted(nodes, key=_key):
        while busy and busy[0][0] <= node.span.start:
            heapq.heappush(free, heapq.heappop(busy)[1])
        lane = heapq.heappop(free) if free else len(busy)
        lane_of[node.name] = lane
        heapq.heappush(busy, (node.span.end, lane))
    return lane_of


def graph(nodes: Iterable[Node]) -> nx.Graph[str]:
    """Build the networkx graph: nodes by name with base/last/kind/side, edges with the overlap."""
    import networkx as nx  # noqa: PLC0415  # 0.15 s that plan and --help need not pay

    listed = sorted(nodes, key=_key)
    made: nx.Graph[str] = nx.Graph()
    for node in listed:
        made.add_node(
            node.name,
            base=f"{node.span.start:#x}",
            last=f"{node.span.last:#x}",
            side=node.side,
            kind=node.kind,
        )
    for overlap in overlaps(listed):
        made.add_edge(
            overlap.first.name,
            overlap.second.name,
            base=f"{overlap.span.start:#x}",
            last=f"{overlap.span.last:#x}",
        )
    return made


def clusters(made: nx.Graph[str]) -> list[list[str]]:
    """Return the chains of trouble: connected components of two or more, largest first."""
    import networkx as nx  # noqa: PLC0415  # as above

    found = [sorted(component) for component in nx.connected_components(made)]
    return sorted((c for c in found if len(c) > 1), key=lambda c: (-len(c), c))


def deepest(made: nx.Graph[str]) -> list[str]:
    """Return the largest set of nodes that all share one byte (interval graphs are chordal)."""
    import networkx as nx  # noqa: PLC0415  # as above

    cliques = nx.chordal_graph_cliques(made)
    return min((sorted(clique) for clique in cliques), key=lambda c: (-len(c), c), default=[])


def graphml(made: nx.Graph[str]) -> str:
    """Write the graph as GraphML."""
    import networkx as nx  # noqa: PLC0415  # as above

    return "\n".join(nx.generate_graphml(made)) + "\n"
