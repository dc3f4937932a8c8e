"""A scene for other programs: JSON, and the interval graph as GraphML."""

from __future__ import annotations

from collections import Counter
from typing import Any

from planner.draw.scene import Box, Role, Scene
from planner.findings import span_json
from planner.graph import Interval, graph, graphml

__all__ = ["scene_graphml", "scene_json"]

FORMAT = "guestmap/show"
VERSION = 1


def scene_json(scene: Scene) -> dict[str, Any]:
    """Return the picture as JSON data: every column with its regions, and the collisions."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "title": scene.title,
        "facts": list(scene.facts),
        "columns": [
            {
                "key": column.key,
                "title": column.title,
                "role": column.role.value,
                "regions": [_box_json(box) for box in column.boxes],
            }
            for column in scene.columns
        ],
        "collisions": [
            {"guest": clash.guest, "host": clash.host, **span_json(clash.span)}
            for clash in scene.clashes
        ],
        "pileups": [
            {"regions": [member.name for member in pile.members], **span_json(pile.span)}
            for pile in scene.pileups
        ],
        "findings": [finding.to_json() for finding in scene.findings],
        "notes": list(scene.notes),
    }


def _box_json(box: Box) -> dict[str, Any]:
    data: dict[str, Any] = {
        "name": box.name,
        "kind": box.kind,
        "style": box.style.value,
        **span_json(box.span),
        "count": box.count,
        "facts": list(box.facts),
        "origin": box.origin,
    }
    if box.fate:
        data["mark"] = box.fate.value
    return data


def scene_graphml(scene: Scene) -> str:
    """Return the interval graph of every region shown: an edge is an overlap.

    What is usable is no region and left out. A node is named by side and region; names that stand
    twice have their address added.
    """
    pairs = [
        (column.title, box)
        for column in scene.columns
        if column.role is not Role.USABLE
        for box in column.boxes
    ]
    often = Counter((side, box.title) for side, box in pairs)
    nodes = []
    for side, box in pairs:
        twice = f"@{box.span}" if often[side, box.title] > 1 else ""
        nodes.append(Interval(f"{side}/{box.title}{twice}", box.span, side, box.kind))
    # Two columns may bear one title; a node must not swallow another.
    again = Counter(node.name for node in nodes)
    unique = [
        node._replace(name=f"{node.name}#{number}") if again[node.name] > 1 else node
        for number, node in enumerate(nodes)
    ]
    return graphml(graph(unique))
