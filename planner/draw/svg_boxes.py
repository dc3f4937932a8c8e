"""Columns of boxes, and what collides, as SVG elements."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from planner.draw.looks import CLASH_WORD
from planner.draw.scene import LINE, Box, Clash, Column, Fate, Style
from planner.draw.svg_frame import (
    CHAR,
    HATCH,
    MONO,
    SMALL,
    STRONG,
    Frame,
    fit,
    label,
    place_of,
    rect,
)
from planner.units import show_size

__all__ = ["SIGNS", "draw_clash", "draw_column"]

SIGNS = {
    Fate.ADDED: "+",
    Fate.REMOVED: "−",
    Fate.MOVED: "↕",
    Fate.RESIZED: "±",
    Fate.CHANGED: "≠",
}
#: Width of a character under which a plate is laid, by the look of the text.
_PLATE = {"strong": 7.2, "": 6.6, "mono small": 6.7, "small": 6.2}


def draw_column(body: ET.Element, frame: Frame, column: Column, *, live: bool) -> None:
    """Add a column's boxes to the picture.

    :param live: for a page whose script moves things.
    """
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


def _box(parent: ET.Element, frame: Frame, column: Column, box: Box, *, live: bool) -> None:
    top, bottom = frame.top(box.span.start), frame.top(box.span.end)
    x, width = place_of(frame, column, box)
    look = f"box {box.style}" + (" changed" if box.fate else "")
    group = ET.SubElement(parent, "g", {"class": look})
    ET.SubElement(group, "title").text = box.words
    if live:
        _live(group, box)
    place = (x, top + 1, width, bottom - top - 2)
    rect(group, "body over", place, 3)
    if box.style is Style.HOLE:
        rect(group, "hatch over", place, 3, fill=HATCH)
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
            most = min(len(text) * _PLATE[look] + 6, width - 6)
            plate = rect(group, "plate", (x + 3, y - 10, most, 13))
            if number >= shown:
                plate.set("display", "none")
        words = label(group, x + 6, y, text, look)
        if number >= shown:
            words.set("display", "none")


def _live(group: ET.Element, box: Box) -> None:
    group.set("id", f"box-{box.id}")
    group.set("data-start", f"{box.span.start:#x}")
    group.set("data-end", f"{box.span.end:#x}")
    group.set("data-kind", box.style)
    group.set("data-words", box.words)
    group.set("role", "listitem")
    group.set("aria-label", box.words)
    group.set("tabindex", "-1")


def _lines(box: Box, width: float) -> list[tuple[str, str]]:
    """Return the lines of a box, the most telling first: name and size, the range, the rest."""
    sign = f"{SIGNS[box.fate]} " if box.fate else ""
    size = show_size(box.span.size)
    inside = width - 12
    exact = (str(box.span), "mono small")
    if box.style is Style.USABLE:
        return [(fit(size, inside, CHAR), ""), exact]
    char, look = (CHAR, "") if box.style is Style.IO else (STRONG, "strong")
    name, kind = f"{sign}{box.title}", box.kind
    if (len(name) + len(size) + 3) * char <= inside:
        name += f" · {size}"
    else:
        kind = size if kind.startswith(box.name) else f"{size} · {kind}"
    rest = [text for text in (kind, *box.facts) if text != box.name]
    return [
        (fit(name, inside, char), look),
        exact,
        *((fit(text, inside, SMALL), "small") for text in rest),
    ]


def draw_clash(body: ET.Element, frame: Frame, clash: Clash, *, live: bool) -> None:
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
        x, width = place_of(frame, column, box)
        place = (x, top + 1, width, max(bottom - top - 2, 1))
        side = ET.SubElement(group, "g", {"class": "side"})
        if live:
            side.set("data-of", column.key)
        if number == 0:
            rect(side, "wash over", place)
        rect(side, "clash over", place)
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
    words = fit(words, most - 4, MONO)
    rect(group, "wash", (x, y - 11, min(len(words) * 7.2 + 6, most), 14))
    label(group, x + 3, y, words, "clash-word strong small")
