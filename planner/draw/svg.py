"""A scene as SVG: one file, no fonts and nothing from outside, the same bytes every time."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from itertools import accumulate

from planner.draw.palette import CLASH_WORD, STYLE_WORDS, style_sheet
from planner.draw.scene import LINE, Box, Clash, Column, Mark, Role, Scene, Stretch, Style
from planner.span import ADDRESS_LIMIT
from planner.units import show_size

__all__ = ["svg_element", "svg_text"]

_NS = "http://www.w3.org/2000/svg"
_MARGIN = 20
_GAP = 14
#: Least width of a column by role; it is as wide as its boxes' ranges need.
_LEAST = {Role.GUEST: 230, Role.HOST: 190, Role.USABLE: 150}
#: A column grows no wider for the sake of names.
_MOST_FOR_NAMES = 250
#: Width of a character of a wide face: 12 px, 12 px strong, 11 px, 11 px monospace. Readers' own
#: faces are mostly narrower.
_CHAR, _STRONG, _SMALL, _MONO = 7.0, 7.7, 6.6, 6.7


@dataclass(frozen=True, slots=True)
class _Frame:
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


def svg_text(scene: Scene) -> str:
    """Return a scene as an SVG document."""
    root = svg_element(scene)
    root.set("xmlns", _NS)
    style = ET.Element("style")
    style.text = "\n" + style_sheet()
    root.insert(2, style)
    ET.indent(root, space=" ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, "unicode") + "\n"


def svg_element(scene: Scene, *, live: bool = False) -> ET.Element:
    """Return the picture as an element without a style sheet.

    :param live: for a page whose script moves things: addresses as data, every line of text, boxes
        that take the keyboard's focus.
    """
    frame = _frame(scene, 0 if live else _head_height(scene) - _TITLES)
    root = ET.Element(
        "svg",
        {
            "class": "gm",
            "viewBox": f"0 0 {frame.width} {frame.height}",
            "width": str(frame.width),
            "height": str(frame.height),
            "role": "group" if live else "img",
            "aria-labelledby": "gm-title gm-desc",
        },
    )
    if live:
        root.set("data-top", str(frame.tops[0]))
        root.set("data-axis", str(frame.axis + 12))
        root.set("data-margin", str(_MARGIN))
        root.set("data-gap", str(_GAP))
    _text_element(root, "title", "gm-title", f"Memory map of {scene.title}")
    _text_element(root, "desc", "gm-desc", _description(scene))
    _patterns(root)
    ET.SubElement(
        root, "rect", {"class": "paper", "width": str(frame.width), "height": str(frame.height)}
    )
    if not live:
        _head(root, frame)
    _titles(root, frame, live=live)
    body = ET.SubElement(root, "g", {"id": "gm-body"} if live else {})
    _ruler(body, frame, live=live)
    for column in scene.columns:
        _column(body, frame, column, live=live)
    for clash in scene.clashes:
        _clash(body, frame, clash, live=live)
    if not live:
        _legend(root, frame)
    return root


def _text_element(parent: ET.Element, tag: str, ident: str, text: str) -> None:
    ET.SubElement(parent, tag, {"id": ident}).text = text


def _description(scene: Scene) -> str:
    sides = ", ".join(f"{column.title} ({len(column.boxes)})" for column in scene.columns)
    count = len(scene.clashes)
    met = "no collision" if not count else f"{count} collision{'s' * (count > 1)}"
    words = [f"Address space from top to bottom; columns: {sides}; {met}."]
    words += [clash.words + "." for clash in scene.clashes]
    return " ".join(words)


def _frame(scene: Scene, above: int) -> _Frame:
    """Measure the picture; *above* is the height of what stands above the columns."""
    tops = tuple(accumulate((s.height for s in scene.stretches), initial=above + _TITLES))
    sizes = round(max(len(_size_words(stretch)) for stretch in scene.stretches) * _SMALL)
    digits = max(len(f"{stretch.span.start:#x}") for stretch in scene.stretches)
    axis = _MARGIN + max(sizes, 30) + 14 + max(round(digits * _MONO), 50)
    places: dict[str, tuple[int, int]] = {}
    x = axis + 12
    for column in scene.columns:
        width = _width(column)
        places[column.key] = (x, width)
        x += width + _GAP
    width = max(x - _GAP + _MARGIN, 640)
    sizes_at = _MARGIN + max(sizes, 30)
    height = tops[-1] + (_legend_height(scene, width) if above else 8)
    ys = {s.span.start: top for s, top in zip(scene.stretches, tops, strict=False)}
    ys[ADDRESS_LIMIT] = tops[-1]
    return _Frame(scene, tops, ys, places, sizes_at, axis, width, height)


def _width(column: Column) -> int:
    """Return the width at which every range of a column can be read whole."""
    most = _LEAST[column.role]
    for box in column.boxes:
        name = min((len(box.title) + 13) * _STRONG, _MOST_FOR_NAMES)
        lane = max(len(str(box.span)) * _MONO, name if box.of_lanes == 1 else 0) + 18
        most = max(most, round(lane * box.of_lanes))
    return most


#: Height of the columns' titles.
_TITLES = 52


def _head_height(scene: Scene) -> int:
    return 42 + 17 * len(_fact_lines(scene)) + _TITLES


def _fact_lines(scene: Scene) -> list[str]:
    """Return the facts, as many on a line as are read well."""
    lines: list[str] = []
    for fact in scene.facts:
        if lines and len(lines[-1]) + len(fact) < 96:
            lines[-1] += f"  ·  {fact}"
        else:
            lines.append(fact)
    return lines


def _patterns(root: ET.Element) -> None:
    defs = ET.SubElement(root, "defs")
    shared = {"patternUnits": "userSpaceOnUse", "width": "8", "height": "8"}
    hatch = ET.SubElement(defs, "pattern", {"id": "gm-hatch", **shared})
    ET.SubElement(
        hatch, "path", {"class": "hatch-line", "d": "M-2 2 2-2M0 8 8 0M6 10 10 6", "opacity": "0.5"}
    )
    cross = ET.SubElement(defs, "pattern", {"id": "gm-cross", **shared})
    lines = "M-2 2 2-2M0 8 8 0M6 10 10 6M-2 6 2 10M0 0 8 8M6-2 10 2"
    ET.SubElement(cross, "path", {"class": "cross-line", "d": lines, "stroke-width": "1.3"})


def _label(parent: ET.Element, x: float, y: float, text: str, look: str = "") -> ET.Element:
    attributes = {"x": f"{x:g}", "y": f"{y:g}"}
    if look:
        attributes["class"] = look
    element = ET.SubElement(parent, "text", attributes)
    element.text = text
    return element


def _head(root: ET.Element, frame: _Frame) -> None:
    scene = frame.scene
    _label(root, _MARGIN, 36, _fit(scene.title, frame.width - 40, 10.5), "h1")
    y = 56
    for line in _fact_lines(scene):
        _label(root, _MARGIN, y, _fit(line, frame.width - 40, _CHAR), "dim")
        y += 17


def _titles(root: ET.Element, frame: _Frame, *, live: bool) -> None:
    y = frame.tops[0] - 26
    _label(root, frame.axis, y, "address", "h2").set("text-anchor", "end")
    _label(root, frame.sizes, y, "size", "dim").set("text-anchor", "end")
    for column in frame.scene.columns:
        x, width = frame.places[column.key]
        group = ET.SubElement(root, "g", {"class": "title"})
        if live:
            group.set("data-of", column.key)
        _label(group, x, y, _fit(column.title, width, 8), "h2")
        _label(group, x, y + 15, _fit(column.subtitle, width, 6.2), "dim small")


def _ruler(body: ET.Element, frame: _Frame, *, live: bool) -> None:
    """Draw one line for each bound, with the address it stands for and the size that follows."""
    group = ET.SubElement(body, "g", {"class": "scale"})
    right = frame.width - _MARGIN
    for stretch, top in zip(frame.scene.stretches, frame.tops, strict=False):
        step = ET.SubElement(group, "g", {"class": "step"})
        if live:
            step.set("data-start", f"{stretch.span.start:#x}")
            step.set("data-end", f"{stretch.span.end:#x}")
            step.set("data-height", str(stretch.height))
            step.set("aria-hidden", "true")
        ET.SubElement(step, "path", {"class": "ruler", "d": f"M{frame.axis + 4} {top}H{right}"})
        address = _label(step, frame.axis, top + 13, f"{stretch.span.start:#x}", "mono small")
        address.set("text-anchor", "end")
        size = _label(step, frame.sizes, top + 13, _size_words(stretch), "dim small")
        size.set("text-anchor", "end")


def _size_words(stretch: Stretch) -> str:
    return "the rest" if stretch.span.end == ADDRESS_LIMIT else show_size(stretch.span.size)


def _column(body: ET.Element, frame: _Frame, column: Column, *, live: bool) -> None:
    attributes = {"class": "column"}
    if live:
        attributes |= {
            "data-column": column.key,
            "data-x": str(frame.places[column.key][0]),
            "data-width": str(frame.places[column.key][1]),
            "role": "list",
            "aria-label": f"{column.title}, {column.subtitle}",
        }
    group = ET.SubElement(body, "g", attributes)
    for box in column.boxes:
        _box(group, frame, column, box, live=live)


def _place(frame: _Frame, column: Column, box: Box) -> tuple[float, float]:
    left, width = frame.places[column.key]
    share = (width + 4) / box.of_lanes
    return left + share * box.lane, share - 4


def _box(parent: ET.Element, frame: _Frame, column: Column, box: Box, *, live: bool) -> None:
    top, bottom = frame.top(box.span.start), frame.top(box.span.end)
    x, width = _place(frame, column, box)
    look = f"box {box.style}" + (" changed" if box.mark else "")
    group = ET.SubElement(parent, "g", {"class": look})
    ET.SubElement(group, "title").text = box.words
    if live:
        _live(group, box)
    shape = {
        "x": f"{x:g}",
        "y": f"{top + 1}",
        "width": f"{width:g}",
        "height": f"{bottom - top - 2}",
        "rx": "3",
    }
    ET.SubElement(group, "rect", {"class": "body over", **shape})
    if box.style is Style.HOLE:
        ET.SubElement(group, "rect", {"class": "hatch over", **shape, "fill": "url(#gm-hatch)"})
    lines = _lines(box, width)
    shown = max((bottom - top - 4) // (LINE - 1), 1)
    # A box of one line has it in the middle.
    first = 14 if bottom - top >= 2 * LINE else min((bottom - top + 9) // 2, 14)
    for number, (text, look) in enumerate(lines):
        if number >= shown and not live:
            break
        y = top + first + number * (LINE - 1)
        if box.style is Style.HOLE:
            # Words on hatching are hard to read: a plate of the ground colour goes under them.
            plate = ET.SubElement(
                group,
                "rect",
                {
                    "class": "plate",
                    "x": f"{x + 3:g}",
                    "y": f"{y - 10}",
                    "width": f"{min(len(text) * _PLATE[look] + 6, width - 6):g}",
                    "height": "13",
                    "rx": "2",
                },
            )
            if number >= shown:
                plate.set("display", "none")
        label = _label(group, x + 6, y, text, look)
        if number >= shown:
            label.set("display", "none")


def _live(group: ET.Element, box: Box) -> None:
    group.set("id", f"box-{box.id}")
    group.set("data-start", f"{box.span.start:#x}")
    group.set("data-end", f"{box.span.end:#x}")
    group.set("data-kind", box.style)
    group.set("data-words", box.words)
    group.set("role", "listitem")
    group.set("aria-label", box.words)
    group.set("tabindex", "-1")


#: Width of a character under which a plate is laid, by the look of the text.
_PLATE = {"strong": 7.2, "": 6.6, "mono small": 6.7, "small": 6.2}
_SIGNS = {
    Mark.ADDED: "+",
    Mark.REMOVED: "−",
    Mark.MOVED: "↕",
    Mark.RESIZED: "±",
    Mark.CHANGED: "≠",
}


def _lines(box: Box, width: float) -> list[tuple[str, str]]:
    """Return the lines of a box, the most telling first: name and size, the range, the rest."""
    sign = f"{_SIGNS[box.mark]} " if box.mark else ""
    size = show_size(box.span.size)
    inside = width - 12
    exact = (str(box.span), "mono small")
    if box.style is Style.USABLE:
        return [(_fit(size, inside, _CHAR), ""), exact]
    char, look = (_CHAR, "") if box.style is Style.IO else (_STRONG, "strong")
    name, kind = f"{sign}{box.title}", box.kind
    if (len(name) + len(size) + 3) * char <= inside:
        name += f" · {size}"
    else:
        kind = size if kind.startswith(box.name) else f"{size} · {kind}"
    rest = [text for text in (kind, *box.facts) if text != box.name]
    return [
        (_fit(name, inside, char), look),
        exact,
        *((_fit(text, inside, _SMALL), "small") for text in rest),
    ]


def _clash(body: ET.Element, frame: _Frame, clash: Clash, *, live: bool) -> None:
    """Cover what collides on both sides, and say so where the guest is."""
    top, bottom = frame.top(clash.span.start), frame.top(clash.span.end)
    boxes = {box.id: (column, box) for column in frame.scene.columns for box in column.boxes}
    group = ET.SubElement(body, "g", {"class": "collision"})
    ET.SubElement(group, "title").text = f"{CLASH_WORD}: {clash.words}"
    if live:
        group.set("data-start", f"{clash.span.start:#x}")
        group.set("data-end", f"{clash.span.end:#x}")
        group.set("aria-hidden", "true")
    for number, ident in enumerate(clash.boxes):
        column, box = boxes[ident]
        x, width = _place(frame, column, box)
        shape = {
            "x": f"{x:g}",
            "y": f"{top + 1}",
            "width": f"{width:g}",
            "height": f"{max(bottom - top - 2, 1)}",
            "rx": "2",
        }
        side = ET.SubElement(group, "g", {"class": "side"})
        if live:
            side.set("data-of", column.key)
        if number == 0:
            ET.SubElement(side, "rect", {"class": "wash over", **shape})
        ET.SubElement(side, "rect", {"class": "clash over", **shape})
        # Both sides say who they are above the hatching; the guest's says what happens.
        words = (
            f"✖ {CLASH_WORD} · {show_size(clash.span.size)}"
            if number == 0
            else f"{box.title} · {show_size(box.span.size)}"
        )
        _plate(side, x + 4, top + 14, words, width - 8)
        if bottom - top >= 2 * LINE or live:
            _plate(side, x + 4, top + 28, str(clash.span), width - 8)


def _plate(group: ET.Element, x: float, y: float, words: str, most: float) -> None:
    words = _fit(words, most - 4, _MONO)
    ET.SubElement(
        group,
        "rect",
        {
            "class": "wash",
            "x": f"{x:g}",
            "y": f"{y - 11:g}",
            "width": f"{min(len(words) * 7.2 + 6, most):g}",
            "height": "14",
            "rx": "2",
        },
    )
    _label(group, x + 3, y, words, "clash-word strong small")


def _fit(text: str, width: float, char: float) -> str:
    """Cut text to a width; whole words stand in the tooltip and in the table."""
    most = max(int(width / char), 1)
    return text if len(text) <= most else text[: most - 1] + "…"


def _legend_items(scene: Scene) -> list[tuple[str, str]]:
    items = [(str(style), STYLE_WORDS[style]) for style in scene.styles()]
    return [*items, ("clash", CLASH_WORD)] if scene.clashes else items


def _legend_rows(scene: Scene, width: int) -> list[list[tuple[str, str]]]:
    rows: list[list[tuple[str, str]]] = [[]]
    x = float(_MARGIN)
    for item in _legend_items(scene):
        step = len(item[1]) * 6.4 + 48
        if rows[-1] and x + step > width:
            rows.append([])
            x = _MARGIN
        rows[-1].append(item)
        x += step
    return rows


def _legend_height(scene: Scene, width: int) -> int:
    marked = any(box.mark for box in scene.boxes)
    return 48 + 22 * (len(_legend_rows(scene, width)) + marked)


def _legend(root: ET.Element, frame: _Frame) -> None:
    y = frame.tops[-1] + 22
    for row in _legend_rows(frame.scene, frame.width):
        x = float(_MARGIN)
        for style, words in row:
            group = ET.SubElement(root, "g", {"class": f"key {style}"})
            shape = {"x": f"{x:g}", "y": str(y), "width": "22", "height": "14", "rx": "2"}
            if style == "clash":
                ET.SubElement(group, "rect", {"class": "wash", **shape})
                ET.SubElement(group, "rect", {"class": "clash", **shape})
            else:
                ET.SubElement(group, "rect", {"class": "body", **shape})
            if style == Style.HOLE:
                ET.SubElement(group, "rect", {"class": "hatch", **shape, "fill": "url(#gm-hatch)"})
            _label(root, x + 28, y + 11, words)
            x += len(words) * 6.4 + 48
        y += 22
    marks = sorted({box.mark for box in frame.scene.boxes if box.mark})
    if marks:
        words = "  ".join(f"{_SIGNS[mark]} {mark}" for mark in marks)
        _label(root, _MARGIN, y + 11, words, "strong")
        y += 22
    words = "not to scale: order kept, every stretch between two bounds a step; last bytes included"
    _label(root, _MARGIN, y + 8, words, "dim small")
