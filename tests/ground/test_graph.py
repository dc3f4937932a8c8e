"""The interval graph against O(n²), and against networkx's own facts about graphs."""

from __future__ import annotations

import subprocess
import sys
from itertools import combinations

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st
from kit.strategies import spans

from planner.graph import (
    Interval,
    clusters,
    deepest,
    graph,
    graphml,
    lanes,
    overlaps,
    pileups,
)
from planner.span import Span

INTERVALS = st.lists(st.tuples(spans(), st.sampled_from(["guest", "a", "b"])), max_size=12).map(
    lambda listed: [Interval(f"n{i}", span, side) for i, (span, side) in enumerate(listed)]
)


@given(INTERVALS, st.booleans())
def test_the_sweep_finds_what_comparing_all_pairs_finds(
    intervals: list[Interval], across: bool
) -> None:
    brute = {
        frozenset((a.name, b.name)): a.span.intersection(b.span)
        for a, b in combinations(intervals, 2)
        if a.span.overlaps(b.span) and not (across and a.side == b.side)
    }
    swept = list(overlaps(intervals, across=across))
    assert {frozenset((o.first.name, o.second.name)): o.span for o in swept} == brute
    assert len(swept) == len(brute)
    assert swept == list(overlaps(reversed(intervals), across=across))


@given(INTERVALS)
def test_lanes_never_clash_and_are_as_few_as_the_deepest_pile(intervals: list[Interval]) -> None:
    lane = lanes(intervals)
    for a, b in combinations(intervals, 2):
        assert not (a.span.overlaps(b.span) and lane[a.name] == lane[b.name])
    pile = deepest(intervals)
    assert len(set(lane.values())) == (len(pile.members) if pile else 0)


@given(INTERVALS)
def test_the_deepest_pile_is_the_lowest_of_the_largest_cliques(intervals: list[Interval]) -> None:
    made = graph(intervals)
    pile = deepest(intervals)
    if not intervals:
        assert pile is None
        return
    assert pile
    assert nx.is_chordal(made)
    cliques = [set(clique) for clique in nx.chordal_graph_cliques(made)]
    assert {member.name for member in pile.members} in cliques
    assert len(pile.members) == max(map(len, cliques))
    depths = [sum(point in i.span for i in intervals) for point in range(48)]
    assert pile.span.start == depths.index(max(depths))
    shared = set.intersection(*(set(range(i.span.start, i.span.end)) for i in pile.members))
    assert shared == set(range(pile.span.start, pile.span.end))


@given(INTERVALS)
def test_clusters_are_the_components_of_the_graph(intervals: list[Interval]) -> None:
    made = graph(intervals)
    assert sorted(made) == sorted(interval.name for interval in intervals)
    found = clusters(intervals)
    assert sorted(sorted(i.name for i in cluster) for cluster in found) == sorted(
        sorted(component) for component in nx.connected_components(made)
    )
    assert [min(i.span.start for i in cluster) for cluster in found] == sorted(
        cluster[0].span.start for cluster in found
    )


@given(INTERVALS, INTERVALS, st.integers(2, 4))
def test_pileups_are_the_deepest_of_each_cluster_of_the_other_side(
    mine: list[Interval], theirs: list[Interval], least: int
) -> None:
    mine = [interval._replace(name=f"m{interval.name}") for interval in mine]
    found = pileups(mine, theirs, least)
    expected = []
    for chain in nx.connected_components(graph(theirs)):
        both = [*mine, *(interval for interval in theirs if interval.name in chain)]
        depths = [sum(point in i.span for i in both) for point in range(48)]
        if max(depths) >= least:
            expected.append(sorted(i.name for i in both if depths.index(max(depths)) in i.span))
    assert sorted(sorted(i.name for i in pile.members) for pile in found) == sorted(expected)
    for pile in found:
        assert all(member.span.contains(pile.span) for member in pile.members)
        assert pile.words.startswith(f"{len(pile.members)} regions meet at [{pile.span}]: ")


def test_equal_regions_are_two_nodes_and_touching_ones_are_no_edge() -> None:
    same = [Interval("a", Span(0, 8)), Interval("b", Span(0, 8)), Interval("c", Span(8, 9))]
    made = graph(same)
    assert sorted(made.edges) == [("a", "b")]
    assert made.edges["a", "b"] == {"base": "0x0", "last": "0x7"}
    assert clusters(same) == [same[:2], same[2:]]
    assert deepest(same) == (tuple(same[:2]), Span(0, 8))
    assert deepest([]) is None


def test_graphml_reads_back() -> None:
    made = graph(
        [Interval("ram", Span(0, 8), "guest", "ram"), Interval("msi", Span(4, 6), "amd", "msi")]
    )
    back = nx.parse_graphml(graphml(made))
    assert dict(back.nodes["ram"]) == {"base": "0x0", "last": "0x7", "side": "guest", "kind": "ram"}
    assert back.edges["ram", "msi"] == {"base": "0x4", "last": "0x5"}


def test_networkx_is_not_loaded_before_a_graph_is_asked_for() -> None:
    code = (
        "import sys, planner.graph as g; from planner.span import Span;"
        "list(g.overlaps([g.Interval('a', Span(0, 2)), g.Interval('b', Span(1, 3))]));"
        "sys.exit('networkx' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
