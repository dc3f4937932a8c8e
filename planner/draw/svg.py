"""A scene as SVG: one file, no fonts and nothing from outside, the same bytes every time."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from planner.draw.palette import style_sheet
from planner.draw.scene import Scene
from planner.draw.svg_boxes import SIGNS, draw_clash, draw_column
from planner.draw.svg_frame import (
    CHAR,
    GAP,
    MARGIN,
    TITLES,
    Frame,
    fact_lines,
    fit,
    frame_of,
    head_height,
    key_shapes,
    label,
    legend_rows,
    size_words,
)

__all__ = ["svg_element", "svg_text"]

_NS = "http://www.w3.org/2000/svg"


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
    frame = frame_of(scene, 0 if live else head_height(scene) - TITLES)
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
        root.set("data-margin", str(MARGIN))
        root.set("data-gap", str(GAP))
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
        draw_column(body, frame, column, live=live)
    for clash in scene.clashes:
        draw_clash(body, frame, clash, live=live)
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


def _head(root: ET.Element, frame: Frame) -> None:
    scene = frame.scene
    label(root, MARGIN, 36, fit(scene.title, frame.width - 40, 10.5), "h1")
    y = 56
    for line in fact_lines(scene):
        label(root, MARGIN, y, fit(line, frame.width - 40, CHAR), "dim")
        y += 17


def _titles(root: ET.Element, frame: Frame, *, live: bool) -> None:
    y = frame.tops[0] - 26
    label(root, frame.axis, y, "address", "h2").set("text-anchor", "end")
    label(root, frame.sizes, y, "size", "dim").set("text-anchor", "end")
    for column in frame.scene.columns:
        x, width = frame.places[column.key]
        group = ET.SubElement(root, "g", {"class": "title"})
        if live:
            group.set("data-of", column.key)
        label(group, x, y, fit(column.title, width, 8), "h2")
        label(group, x, y + 15, fit(column.subtitle, width, 6.2), "dim small")


def _ruler(body: ET.Element, frame: Frame, *, live: bool) -> None:
    """Draw one line for each bound, with the address it stands for and the size that follows."""
    group = ET.SubElement(body, "g", {"class": "scale"})
    right = frame.width - MARGIN
    for stretch, top in zip(frame.scene.stretches, frame.tops, strict=False):
        step = ET.SubElement(group, "g", {"class": "step"})
        if live:
            step.set("data-start", f"{stretch.span.start:#x}")
            step.set("data-end", f"{stretch.span.end:#x}")
            step.set("data-height", str(stretch.height))
            step.set("aria-hidden", "true")
        ET.SubElement(step, "path", {"class": "ruler", "d": f"M{frame.axis + 4} {top}H{right}"})
        address = label(step, frame.axis, top + 13, f"{stretch.span.start:#x}", "mono small")
        address.set("text-anchor", "end")
        size = label(step, frame.sizes, top + 13, size_words(stretch), "dim small")
        size.set("text-anchor", "end")


def _legend(root: ET.Element, frame: Frame) -> None:
    y = frame.tops[-1] + 22
    for row in legend_rows(frame.scene, frame.width):
        x = float(MARGIN)
        for style, words in row:
            group = ET.SubElement(root, "g", {"class": f"key {style}"})
            key_shapes(group, style, (x, y, 22, 14))
            label(root, x + 28, y + 11, words)
            x += len(words) * 6.4 + 48
        y += 22
    marks = sorted({box.fate for box in frame.scene.boxes if box.fate})
    if marks:
        words = "  ".join(f"{SIGNS[mark]} {mark}" for mark in marks)
        label(root, MARGIN, y + 11, words, "strong")
        y += 22
    words = "not to scale: order kept, every stretch between two bounds a step; last bytes included"
    label(root, MARGIN, y + 8, words, "dim small")
