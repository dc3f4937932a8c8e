"""Colours of pictures, light and dark, as style sheets.

The hues are far apart for every common kind of colour blindness (they follow Okabe and Ito, "Color
Universal Design", 2008), and none stands alone: forbidden ranges are hatched, collisions are
cross-hatched with a heavy outline, windows are dashed, advice is dotted.
"""

from __future__ import annotations

from typing import NamedTuple

from planner.draw.scene import Style

__all__ = ["style_sheet"]


class _Ink(NamedTuple):
    fill: str
    stroke: str
    text: str


_LIGHT = {
    Style.RAM: _Ink("#b5e3d3", "#00795a", "#00382a"),
    Style.ROM: _Ink("#c4dcf3", "#0b62a4", "#06304f"),
    Style.IO: _Ink("#eceef1", "#98a1ad", "#2b323b"),
    Style.WINDOW: _Ink("#f2f7fd", "#3c82c4", "#164a78"),
    Style.DOORBELL: _Ink("#f6d6e8", "#a8447f", "#521a3b"),
    Style.HOLE: _Ink("#fde6b5", "#a86f00", "#4a3100"),
    Style.ADVICE: _Ink("#ffffff", "#b08d4a", "#5c4718"),
    Style.USABLE: _Ink("#eef8f4", "#8fc9b4", "#245c49"),
}
_DARK = {
    Style.RAM: _Ink("#0d4a3a", "#3ecfa4", "#d6fff2"),
    Style.ROM: _Ink("#123e61", "#67b3f0", "#dceeff"),
    Style.IO: _Ink("#272d36", "#6c7684", "#dfe4ea"),
    Style.WINDOW: _Ink("#16202c", "#5a9bd8", "#cfe4f8"),
    Style.DOORBELL: _Ink("#52223f", "#ec8fc4", "#ffe3f3"),
    Style.HOLE: _Ink("#483409", "#f0b429", "#ffefc9"),
    Style.ADVICE: _Ink("#14181e", "#a8894c", "#ead9b4"),
    Style.USABLE: _Ink("#13251f", "#3d7a66", "#b4e0d0"),
}

_PAPER_LIGHT = {
    "paper": "#ffffff",
    "ink": "#1c232b",
    "dim": "#5b6672",
    "line": "#e3e7ec",
    "clash": "#c01622",
    "clash-wash": "#ffd9d6",
    "mark": "#6a3fc0",
}
_PAPER_DARK = {
    "paper": "#14181e",
    "ink": "#e8ecf1",
    "dim": "#9aa6b3",
    "line": "#2a313b",
    "clash": "#ff7a70",
    "clash-wash": "#5a1414",
    "mark": "#c3a6ff",
}

_SHAPES = """\
.gm text { font: 12px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
.gm .mono { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
.gm .small { font-size: 11px; }
.gm .strong { font-weight: 600; }
.gm .h1 { font-size: 19px; font-weight: 650; }
.gm .h2 { font-size: 13.5px; font-weight: 650; }
.gm rect.body { stroke-width: 1.2; }
.gm .window rect.body { stroke-dasharray: 6 3; }
.gm .advice rect.body { stroke-dasharray: 1.5 3; stroke-linecap: round; stroke-width: 1.6; }
.gm .hatch { pointer-events: none; }
.gm rect.clash { fill: url(#gm-cross); stroke-width: 2.6; }
.gm .plate { stroke: none; }
.gm path { fill: none; }
.gm .ruler { stroke-width: 1; shape-rendering: crispEdges; }
.gm .changed rect.body { stroke-width: 2.8; }
"""


def style_sheet(scope: str = "") -> str:
    """Return the style sheet of pictures: light, and dark where the reader prefers it.

    :param scope: a selector that dark rules are put under besides the media query.
    """
    dark = _rules(_DARK, _PAPER_DARK, scope)
    screen_only = "@media screen and (prefers-color-scheme: dark) {\n"
    return _SHAPES + _rules(_LIGHT, _PAPER_LIGHT, "") + screen_only + dark + "}\n"


def _rules(inks: dict[Style, _Ink], paper: dict[str, str], scope: str) -> str:
    top = f"{scope} .gm" if scope else ".gm"
    lines = [
        f"{top} .paper {{ fill: {paper['paper']}; }}",
        f"{top} text {{ fill: {paper['ink']}; }}",
        f"{top} text.dim, {top} .dim {{ fill: {paper['dim']}; }}",
        f"{top} .ruler {{ stroke: {paper['line']}; }}",
        f"{top} .fold {{ stroke: {paper['dim']}; }}",
        f"{top} rect.clash {{ stroke: {paper['clash']}; }}",
        f"{top} .cross-line {{ stroke: {paper['clash']}; }}",
        f"{top} rect.wash {{ fill: {paper['clash-wash']}; stroke: none; }}",
        f"{top} text.clash-word {{ fill: {paper['clash']}; }}",
        f"{top} .hatch-line {{ stroke: {inks[Style.HOLE].stroke}; }}",
    ]
    for style, ink in inks.items():
        lines += [
            f"{top} .{style} rect.body {{ fill: {ink.fill}; stroke: {ink.stroke}; }}",
            f"{top} .{style} rect.plate {{ fill: {ink.fill}; }}",
            f"{top} .{style} text {{ fill: {ink.text}; }}",
        ]
    lines.append(f"{top} .box.changed rect.body {{ stroke: {paper['mark']}; }}")
    return "\n".join(lines) + "\n"
