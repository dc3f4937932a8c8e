"""The interval graph against O(n²), and against networkx's own facts about graphs."""

from __future__ import annotations

import subprocess
import sys
from itertools import combinations

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st
from kit.strategies import spans

from planner.graph import Node, clusters, deepest, graph, graphml, lanes, overlaps
from planner.span import Span

NODES = st.lists(st.tuples(spans(), st.sampled_from(["guest", "a", "b"])), max_size=12).map(
    lambda listed: [Node(f"n{i}", span, side) for i, (span, side) in enumerate(listed)]
)


@given(NODES, st.booleans())
def test_the_sweep_finds_what_comparing_all_pairs_finds(nodes: list[Node], across: bool) -> None:
    brute = {
        frozenset((a.name, b.name)): a.span.intersection(b.span)
        for a, b in combinations(nodes, 2)
        if a.span.overlaps(b.span) and not (across and a.side == b.side)
    }
    swept = list(overlaps(nodes, across=across))
    assert {frozenset((o.first.name, o.second.name)): o.span for o in swept} == brute
    assert len(swept) == len(brute)
    assert swept == list(overlaps(reversed(nodes), across=across))


@given(NODES)
def test_lanes_never_clash_and_are_as_few_as_the_deepest_pile(nodes: list[Node]) -> None:
    lane = lanes(nodes)
    for a, b in combinations(nodes, 2):
        assert not (a.span.overlaps(b.span) and lane[a.name] == lane[b.name])
    made = graph(nodes)
    deep = deepest(made)
    assert len(set(lane.values())) == len(deep)
    assert max((sum(p in n.span for n in nodes) for p in range(48)), default=0) == len(deep)


@given(NODES)
def test_the_graph_has_a_node_for_each_region_and_chains_of_trouble(nodes: list[Node]) -> None:
    made = graph(nodes)
    assert sorted(made) == sorted(node.name for node in nodes)
    chained = {name for chain in clusters(made) for name in chain}
    assert chained == {name for name in made if made.degree[name]}
    assert nx.is_chordal(made)


def test_equal_regions_are_two_nodes_and_touching_ones_are_no_edge() -> None:
    same = [Node("a", Span(0, 8)), Node("b", Span(0, 8)), Node("c", Span(8, 9))]
    made = graph(same)
    assert sorted(made.edges) == [("a", "b")]
    assert made.edges["a", "b"] == {"base": "0x0", "last": "0x7"}
    assert clusters(made) == [["a", "b"]]
    assert deepest(made) == ["a", "b"]
    assert deepest(graph([])) == []


def test_graphml_reads_back() -> None:
    made = graph([Node("ram", Span(0, 8), "guest", "ram"), Node("msi", Span(4, 6), "amd", "msi")])
    back = nx.parse_graphml(graphml(made))
    assert dict(back.nodes["ram"]) == {"base": "0x0", "last": "0x7", "side": "guest", "kind": "ram"}
    assert back.edges["ram", "msi"] == {"base": "0x4", "last": "0x5"}


def test_networkx_is_not_loaded_before_a_graph_is_asked_for() -> None:
    code = (
        "import sys, planner.graph as g; from planner.span import Span;"
        "list(g.overlaps([g.Node('a', Span(0, 2)), g.Node('b', Span(1, 3))]));"
        "sys.exit('networkx' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
