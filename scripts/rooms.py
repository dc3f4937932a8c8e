"""The rooms of the house and who imports whom, read from the code; drawn by scripts/imports.

A room is a folder of planner/, a module of its ground, or all of qmp_glue/.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from xml.sax.saxutils import escape

__all__ = [
    "PACKAGES",
    "Arrows",
    "arrows",
    "bare",
    "imported",
    "levels",
    "modules",
    "parsed",
    "picture",
    "room",
]

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("planner", "qmp_glue")

#: Who → whom it imports.
Arrows = Mapping[str, frozenset[str]]


@cache
def modules() -> dict[str, Path]:
    """Return module → its file, in order of names."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    }


@cache
def parsed(path: Path) -> ast.Module:
    """Return a file as a tree."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path) -> Iterator[str]:
    """Yield what a file imports, wherever in it: modules, and names taken from them."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                below = f"{node.module}.{alias.name}"
                yield below if below in modules() else node.module


def room(module: str) -> str:
    """Return the room a module stands in."""
    package, _, rest = module.partition(".")
    return package if package == "qmp_glue" or not rest else f"{package}.{rest.partition('.')[0]}"


def arrows(*, rooms: bool = True) -> Arrows:
    """Return the imports between rooms, or between modules.

    ``planner`` and ``planner.cli`` themselves, which say a version and name the commands, are no
    place anything depends on.
    """
    found: dict[str, set[str]] = {}
    for module, path in modules().items():
        who = room(module) if rooms else module
        mine = found.setdefault(who, set())
        for name in imported(path):
            whom = room(name) if rooms else name
            if name.partition(".")[0] in PACKAGES and whom not in (who, *PACKAGES[:1]):
                mine.add(whom)
    found.pop("planner", None)
    return {who: frozenset(whom) for who, whom in found.items()}


def levels(found: Arrows) -> dict[str, int]:
    """Return how high each stands: one above the highest it imports.

    :raise ValueError: the imports run in a circle, which is named.
    """
    known: dict[str, int] = {}

    def level(who: str, path: tuple[str, ...]) -> int:
        if who in path:
            raise ValueError(" -> ".join([*path[path.index(who) :], who]))
        if who not in known:
            below = [level(whom, (*path, who)) for whom in sorted(found.get(who, ()))]
            known[who] = 1 + max(below, default=-1)
        return known[who]

    for who in sorted(found):
        level(who, ())
    return known


def bare(found: Arrows) -> dict[str, list[str]]:
    """Return the arrows without those that others imply, so that a picture can be read."""

    def reached(who: str) -> set[str]:
        return {whom for next_ in found.get(who, ()) for whom in (next_, *reached(next_))}

    return {
        who: sorted(whom for whom in mine if not any(whom in reached(other) for other in mine))
        for who, mine in found.items()
    }


_WIDTH, _HEIGHT, _GAP, _ROW, _EDGE = 112, 30, 22, 74, 16


def picture(found: Arrows) -> str:
    """Draw the rooms as SVG: who imports stands higher; what others imply is left out."""
    high = levels(found)
    rows = [sorted(who for who in high if high[who] == at) for at in range(max(high.values()) + 1)]
    widest = max(map(len, rows))
    width = 2 * _EDGE + widest * (_WIDTH + _GAP) - _GAP
    height = 2 * _EDGE + len(rows) * _ROW - (_ROW - _HEIGHT)
    places = {
        who: (
            width / 2 + (column - (len(row) - 1) / 2) * (_WIDTH + _GAP),
            height - _EDGE - _HEIGHT - at * _ROW,
        )
        for at, row in enumerate(rows)
        for column, who in enumerate(row)
    }
    box = f"0 0 {width} {height}"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" width="{width}">',
        "<style>text { font: 13px sans-serif }</style>",
        "<title>The rooms of guestmap, and who imports whom</title>",
        '<rect width="100%" height="100%" fill="#fff"/>',
    ]
    for who, below in bare(found).items():
        for whom in below:
            (x, y), (to_x, to_y) = places[who], places[whom]
            start, bend = y + _HEIGHT, (to_y - y - _HEIGHT) / 2
            lines.append(
                f'<path d="M{x:g} {start:g} C{x:g} {start + bend:g} {to_x:g} {to_y - bend:g}'
                f' {to_x:g} {to_y:g}" fill="none" stroke="#667"/>'
                f'<circle cx="{to_x:g}" cy="{to_y:g}" r="3" fill="#667"/>'
            )
    for who, (x, y) in places.items():
        lines.append(
            f'<rect x="{x - _WIDTH / 2:g}" y="{y:g}" width="{_WIDTH}" height="{_HEIGHT}" rx="4"'
            ' fill="#eef2f8" stroke="#445"/>'
            f'<text x="{x:g}" y="{y + 20:g}" text-anchor="middle">'
            f"{escape(who.removeprefix('planner.'))}</text>"
        )
    return "\n".join([*lines, "</svg>", ""])
