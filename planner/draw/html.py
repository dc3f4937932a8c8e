"""A scene as one HTML page without outside resources.

The document holds everything: the picture, a table with every region, the findings. The script only
zooms, hides and points; without it, on paper and for a screen reader nothing is missing.
"""

from __future__ import annotations

import base64
import hashlib
import xml.etree.ElementTree as ET
from dataclasses import dataclass

from planner.draw.columns import ASKED
from planner.draw.looks import CLASH_WORD, LOOKS
from planner.draw.palette import style_sheet
from planner.draw.scene import Box, Column, Scene
from planner.draw.svg import svg_element
from planner.draw.svg_frame import key_shapes
from planner.findings import Finding
from planner.text.harmless import harmless
from planner.units import show_size

__all__ = ["Assets", "html_page"]


@dataclass(frozen=True, slots=True)
class Assets:
    """The page's own style sheet and script, which stand beside this module."""

    style: str
    script: str


def html_page(scene: Scene, assets: Assets) -> str:
    """Return a scene as an HTML document."""
    root = ET.Element("html", {"lang": "en"})
    _head(root, scene, assets)
    body = ET.SubElement(root, "body")
    header = ET.SubElement(body, "header")
    _say(header, "h1", scene.title)
    _say(header, "p", " · ".join(scene.facts), "facts")
    main = ET.SubElement(body, "main")
    _collisions(main, scene)
    _toolbar(main, scene)
    stage = ET.SubElement(main, "div", {"class": "stage card"})
    stage.append(svg_element(scene, live=True))
    # Filled when a region is pointed at.
    detail = {"class": "detail card", "hidden": "hidden", "aria-live": "polite"}
    ET.SubElement(main, "aside", {**detail, "aria-label": "The region pointed at"})
    _findings(main, scene)
    _table(main, scene)
    ET.SubElement(body, "script").text = "\n" + assets.script
    return "<!DOCTYPE html>\n" + ET.tostring(root, "unicode", method="html") + "\n"


def _say(parent: ET.Element, tag: str, text: str, look: str = "") -> ET.Element:
    element = ET.SubElement(parent, tag, {"class": look} if look else {})
    element.text = text
    return element


def _head(root: ET.Element, scene: Scene, assets: Assets) -> None:
    head = ET.SubElement(root, "head")
    ET.SubElement(head, "meta", {"charset": "utf-8"})
    # The page runs its own script and nothing else, whatever names a layout may have brought in.
    digest = base64.b64encode(hashlib.sha256(("\n" + assets.script).encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    ET.SubElement(head, "meta", {"http-equiv": "Content-Security-Policy", "content": policy})
    ET.SubElement(
        head, "meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}
    )
    _say(head, "title", f"{scene.title}: memory map")
    ET.SubElement(head, "style").text = "\n" + assets.style + style_sheet()


def _collisions(main: ET.Element, scene: Scene) -> None:
    """List what collides, apart where it is about the map as asked and mended in the plan."""
    if not scene.clashes:
        return
    section = ET.SubElement(
        main, "section", {"class": "card collisions", "aria-label": "Collisions"}
    )
    asked = sum(clash.boxes[0].startswith(ASKED) for clash in scene.clashes)
    count = len(scene.clashes) - asked
    words = f"{count} {CLASH_WORD}{'s' * (count > 1)}" if count else ""
    if asked:
        words = f"{asked} {CLASH_WORD}{'s' * (asked > 1)} as asked, {words or 'none'} as planned"
    _say(section, "strong", f"✖ {words}")
    items = ET.SubElement(section, "ul")
    for words in (*(clash.words for clash in scene.clashes), *(p.words for p in scene.pileups)):
        _say(items, "li", words)


def _toolbar(main: ET.Element, scene: Scene) -> None:
    bar = ET.SubElement(
        main, "div", {"class": "toolbar card", "hidden": "hidden", "aria-label": "The picture"}
    )
    buttons = ET.SubElement(bar, "div")
    for ident, sign, words in (
        ("zoom-in", "+", "zoom in"),
        ("zoom-out", "−", "zoom out"),
        ("zoom-whole", "whole", "show the whole address space"),
    ):
        button = _say(buttons, "button", sign)
        button.attrib |= {"id": ident, "type": "button", "aria-label": words, "title": words}
        button.tail = " "
    label = _say(bar, "label", "scale ")
    choice = ET.SubElement(label, "select", {"id": "scale"})
    _say(choice, "option", "folded").set("value", "folded")
    _say(choice, "option", "true to size").set("value", "true")
    form = ET.SubElement(bar, "form", {"id": "go"})
    label = _say(form, "label", "address ")
    field = {"id": "address", "type": "text", "placeholder": "0xfee00000", "autocomplete": "off"}
    ET.SubElement(label, "input", field).tail = " "
    _say(form, "button", "go").set("type", "submit")
    titles = [column.title for column in scene.columns]
    sides = [
        (c.key, c.title if titles.count(c.title) == 1 else f"{c.title} ({c.subtitle})")
        for c in scene.columns
    ]
    _checks(bar, "side", "sides", sides)
    kinds = [(str(style), LOOKS[style].words) for style in scene.styles()]
    _checks(bar, "kind", "kinds", [*kinds, ("clash", CLASH_WORD)] if scene.clashes else kinds)
    _say(bar, "p", _HINT, "hint")


_HINT = (
    "Hover or click to read a region. By keyboard: Tab into the picture, arrows walk, Enter zooms"
    " to the region, + and − zoom, Page Up and Page Down move, 0 shows everything. By mouse: double"
    " click or Ctrl and the wheel zoom, dragging or Shift and the wheel move."
)


def _checks(bar: ET.Element, name: str, title: str, choices: list[tuple[str, str]]) -> None:
    group = ET.SubElement(bar, "fieldset", {"class": "whole"})
    _say(group, "legend", title)
    for value, words in choices:
        label = ET.SubElement(group, "label")
        box = {"type": "checkbox", "name": name, "value": value, "checked": "checked"}
        check = ET.SubElement(label, "input", box)
        check.tail = " "
        if name == "kind":
            check.tail = ""
            _swatch(label, value).tail = words
        else:
            check.tail = " " + words


def _swatch(label: ET.Element, value: str) -> ET.Element:
    """Draw a kind as the picture does, so that the filters are the legend, too."""
    picture = ET.SubElement(
        label,
        "svg",
        {"class": "gm swatch", "width": "24", "height": "15", "aria-hidden": "true"},
    )
    group = ET.SubElement(picture, "g", {"class": value})
    key_shapes(group, value, (1.5, 1.5, 21, 12))
    return picture


def _findings(main: ET.Element, scene: Scene) -> None:
    if not scene.findings and not scene.notes:
        return
    section = ET.SubElement(main, "section", {"aria-label": "Findings"})
    _say(section, "h2", scene.notes_are.capitalize() if scene.notes else "Findings")
    for note in scene.notes:
        _say(section, "p", note)
    for finding in scene.findings:
        _finding(section, finding)


def _finding(section: ET.Element, finding: Finding) -> None:
    article = ET.SubElement(section, "article", {"class": "finding"})
    line = ET.SubElement(article, "p")
    head = _say(line, "b", f"{finding.severity.value}[{finding.code}] {finding.name}")
    head.set("class", finding.severity.value)
    head.tail = f": {harmless(finding.message)}"
    for note in finding.notes:
        _say(article, "p", harmless(note))
    if finding.help:
        _say(article, "p", harmless(finding.help), "help")


_HEADS = ("From", "To", "Size", "Side", "What", "Kind", "Facts", "Origin")


def _table(main: ET.Element, scene: Scene) -> None:
    section = ET.SubElement(main, "section", {"class": "table", "aria-label": "All regions"})
    _say(section, "h2", "All regions")
    wrap = ET.SubElement(section, "div", {"class": "tablewrap"})
    table = ET.SubElement(wrap, "table")
    _say(table, "caption", "By address; both ends included.")
    row = ET.SubElement(ET.SubElement(table, "thead"), "tr")
    for title in _HEADS:
        _say(row, "th", title).set("scope", "col")
    body = ET.SubElement(table, "tbody")
    order = {column.key: number for number, column in enumerate(scene.columns)}
    pairs = [(column, box) for column in scene.columns for box in column.boxes]
    for column, box in sorted(pairs, key=lambda p: (p[1].span.start, order[p[0].key], p[1].span)):
        _row(body, scene, column, box)


def _row(body: ET.Element, scene: Scene, column: Column, box: Box) -> None:
    row = ET.SubElement(
        body, "tr", {"data-box": f"box-{box.id}", "data-side": column.key, "data-kind": box.style}
    )
    met = [clash for clash in scene.clashes if box.id in clash.boxes]
    facts = [*box.facts]
    facts += [f"✖ {CLASH_WORD} at [{clash.span}], {show_size(clash.span.size)}" for clash in met]
    if box.fate:
        facts.insert(0, box.fate.value)
    _say(row, "td", f"{box.span.start:#x}", "address")
    _say(row, "td", f"{box.span.last:#x}", "address")
    _say(row, "td", show_size(box.span.size), "size")
    _say(row, "td", column.title)
    _say(row, "th", box.title).set("scope", "row")
    _say(row, "td", box.kind)
    _say(row, "td", "; ".join(facts))
    _say(row, "td", box.origin)
