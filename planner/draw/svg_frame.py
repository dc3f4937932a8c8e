"""Where everything of a picture is: columns, stretches, the room that words take."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from itertools import accumulate

from planner.draw.looks import CLASH_WORD, LOOKS
from planner.draw.scene import Box, Column, Role, Scene, Stretch, Style
from planner.span import ADDRESS_LIMIT
from planner.units import show_size

MARGIN = 20
GAP = 14
#: Least width of a column by role; it is as wide as its boxes' ranges need.
_LEAST = {Role.GUEST: 230, Role.HOST: 190, Role.USABLE: 150}
#: A column grows no wider for the sake of names.
_MOST_FOR_NAMES = 250
#: Width of a character of a wide face: 12 px, 12 px strong, 11 px, 11 px monospace. Readers' own
#: faces are mostly narrower.
CHAR, STRONG, SMALL, MONO = 7.0, 7.7, 6.6, 6.7
#: Height of the columns' titles.
TITLES = 52


@dataclass(frozen=True, slots=True)
class Frame:
    """Where everything is; x and y in pixels."""

    scene: Scene
    #: Top of each stretch, and the end of the last.
    tops: tuple[int, ...]
    #: Top of each stretch by the address it starts at.
    ys: dict[int, int]
    #: Left edge and width by column key.
    places: dict[str, tuple[int, int]]
    #: Right edges of the sizes and of the addresses.
    sizes: int
    axis: int
    width: int
    height: int

    def top(self, address: int) -> int:
        """Return the y of a bound."""
        return self.ys[address]


def frame_of(scene: Scene, above: int) -> Frame:
    """Measure the picture; *above* is the height of what stands above the columns."""
    tops = tuple(accumulate((s.height for s in scene.stretches), initial=above + TITLES))
    sizes = round(max(len(size_words(stretch)) for stretch in scene.stretches) * SMALL)
    digits = max(len(f"{stretch.span.start:#x}") for stretch in scene.stretches)
    axis = MARGIN + max(sizes, 30) + 14 + max(round(digits * MONO), 50)
    places: dict[str, tuple[int, int]] = {}
    x = axis + 12
    for column in scene.columns:
        width = _width(column)
        places[column.key] = (x, width)
        x += width + GAP
    width = max(x - GAP + MARGIN, 640)
    sizes_at = MARGIN + max(sizes, 30)
    height = tops[-1] + (_legend_height(scene, width) if above else 8)
    ys = {s.span.start: top for s, top in zip(scene.stretches, tops, strict=False)}
    ys[ADDRESS_LIMIT] = tops[-1]
    return Frame(scene, tops, ys, places, sizes_at, axis, width, height)


def _width(column: Column) -> int:
    """Return the width at which every range of a column can be read whole."""
    most = _LEAST[column.role]
    for box in column.boxes:
        name = min((len(box.title) + 13) * STRONG, _MOST_FOR_NAMES)
        lane = max(len(str(box.span)) * MONO, name if box.of_lanes == 1 else 0) + 18
        most = max(most, round(lane * box.of_lanes))
    return most


def head_height(scene: Scene) -> int:
    """Return the height of what stands above the scale."""
    return 42 + 17 * len(fact_lines(scene)) + TITLES


def fact_lines(scene: Scene) -> list[str]:
    """Return the facts, as many on a line as are read well."""
    lines: list[str] = []
    for fact in scene.facts:
        if lines and len(lines[-1]) + len(fact) < 96:
            lines[-1] += f"  ·  {fact}"
        else:
            lines.append(fact)
    return lines


def size_words(stretch: Stretch) -> str:
    """Return the size of a stretch; the last one's says nothing to anybody."""
    return "the rest" if stretch.span.end == ADDRESS_LIMIT else show_size(stretch.span.size)


def place_of(frame: Frame, column: Column, box: Box) -> tuple[float, float]:
    """Return a box's left edge and width."""
    left, width = frame.places[column.key]
    share = (width + 4) / box.of_lanes
    return left + share * box.lane, share - 4


def fit(text: str, width: float, char: float) -> str:
    """Cut text to a width; whole words stand in the tooltip and in the table."""
    most = max(int(width / char), 1)
    return text if len(text) <= most else text[: most - 1] + "…"


def label(parent: ET.Element, x: float, y: float, text: str, look: str = "") -> ET.Element:
    """Add a line of text."""
    attributes = {"x": f"{x:g}", "y": f"{y:g}"}
    if look:
        attributes["class"] = look
    element = ET.SubElement(parent, "text", attributes)
    element.text = text
    return element


def rect(
    parent: ET.Element,
    look: str,
    place: tuple[float, float, float, float],
    rounding: float = 2,
    **more: str,
) -> ET.Element:
    """Add a rectangle of a class.

    :param place: left, top, width and height.
    :param more: further attributes, such as ``fill``.
    """
    sides = zip(("x", "y", "width", "height"), place, strict=True)
    shape = {name: f"{side:.6f}".rstrip("0").rstrip(".") for name, side in sides}
    return ET.SubElement(parent, "rect", {"class": look, **shape, "rx": f"{rounding:g}", **more})


def key_shapes(group: ET.Element, style: str, place: tuple[float, float, float, float]) -> None:
    """Draw a kind as the picture does, small, for legends and filters."""
    if style == "clash":
        rect(group, "wash", place)
        rect(group, "clash", place)
        return
    rect(group, "body", place)
    if style == Style.HOLE:
        rect(group, "hatch", place, fill=HATCH)


#: The pattern of what is forbidden.
HATCH = "url(#gm-hatch)"


def _legend_items(scene: Scene) -> list[tuple[str, str]]:
    items = [(str(style), LOOKS[style].words) for style in scene.styles()]
    return [*items, ("clash", CLASH_WORD)] if scene.clashes else items


def legend_rows(scene: Scene, width: int) -> list[list[tuple[str, str]]]:
    """Return what the legend explains, class and words, in rows as wide as the picture."""
    rows: list[list[tuple[str, str]]] = [[]]
    x = float(MARGIN)
    for item in _legend_items(scene):
        step = len(item[1]) * 6.4 + 48
        if rows[-1] and x + step > width:
            rows.append([])
            x = MARGIN
        rows[-1].append(item)
        x += step
    return rows


def _legend_height(scene: Scene, width: int) -> int:
    marked = any(box.fate for box in scene.boxes)
    return 48 + 22 * (len(legend_rows(scene, width)) + marked)
