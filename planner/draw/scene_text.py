"""A scene as text: one line a stretch of addresses, the sides as columns.

The same text goes to terminals and pipes; only colour differs. Nothing is wrapped or cut.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from planner.draw.diagnostic import summary
from planner.draw.looks import CLASH, CLASH_WORD, LOOKS
from planner.draw.paint import Paint, plain
from planner.draw.scene import Box, Column, Fate, Scene, Stretch, Style
from planner.units import show_size

__all__ = ["scene_text"]

#: What became of a box, as ``diff`` marks lines.
SIGNS = {
    Fate.SAME: "",
    Fate.ADDED: "+ ",
    Fate.REMOVED: "- ",
    Fate.MOVED: "~ ",
    Fate.RESIZED: "~ ",
    Fate.CHANGED: "~ ",
}


@dataclass(frozen=True, slots=True)
class _Cell:
    """What one lane of a column has in one line."""

    text: str
    style: str


def scene_text(scene: Scene, *, paint: Paint = plain, ascii_only: bool = False) -> str:
    """Return a scene as text, lines ended.

    :param paint: as for a plan's text.
    :param ascii_only: draw with ASCII marks.
    """
    marks = {style: look.sign(ascii_only=ascii_only) for style, look in LOOKS.items()}
    cross = CLASH.sign(ascii_only=ascii_only)
    lines = [f"{paint(scene.title, 'bold')}: {', '.join(scene.facts)}".rstrip(": "), ""]
    columns = [_Lanes(column, scene, marks, cross) for column in scene.columns]
    bases = [f"{stretch.span.start:#x}" for stretch in scene.stretches]
    lasts = [f"{stretch.span.last:#x}" for stretch in scene.stretches]
    sizes = [show_size(stretch.span.size) for stretch in scene.stretches]
    widths = [max(map(len, texts)) for texts in (bases, lasts, sizes)]
    titles = [("base", widths[0]), ("last", widths[1]), ("size", widths[2])]
    head = "  ".join(f"{title:>{width}}" for title, width in titles)
    head += "".join(f"  {column.title:<{column.width}}" for column in columns)
    lines.append("  " + paint(head.rstrip(), "dim"))
    for stretch, base, last, size in zip(scene.stretches, bases, lasts, sizes, strict=True):
        met = any(clash.span.overlaps(stretch.span) for clash in scene.clashes)
        place = f"{base:>{widths[0]}}  {last:>{widths[1]}}  {size:>{widths[2]}}"
        row = f"{cross if met else ' '} {place}"
        if met or not stretch.busy:
            row = paint(row, "clash" if met else "dim")
        row += "".join("  " + column.line(stretch, paint) for column in columns)
        lines.append(row.rstrip())
    lines += ["", paint(f"  {_legend(scene, marks, cross)}", "dim")]
    said = [f"{CLASH_WORD}: {clash.words}" for clash in scene.clashes]
    said += [pile.words for pile in scene.pileups]
    lines += ["", *(paint(f"{cross} {words}", CLASH.paint) for words in said)] if said else []
    if scene.findings:
        lines += ["", f"findings: {summary(scene.findings)}"]
    if scene.notes:
        lines += ["", *(f"{scene.notes_are.removesuffix('s')}: {note}" for note in scene.notes)]
    text = "\n".join(lines) + "\n"
    if ascii_only:
        text = text.translate(_PLAINER).encode("ascii", "backslashreplace").decode()
    return text


#: Characters of titles and names that have a likeness in ASCII, of the same width.
_PLAINER = str.maketrans({"×": "x", "·": ".", "→": ">", "…": "~"})


def _legend(scene: Scene, marks: dict[Style, str], cross: str) -> str:
    words = [f"{marks[style]} {LOOKS[style].words}" for style in scene.styles()]
    return "  ".join([*words, f"{cross} {CLASH_WORD}"] if scene.clashes else words)


class _Lanes:
    """One column, line by line."""

    def __init__(self, column: Column, scene: Scene, marks: dict[Style, str], cross: str) -> None:
        self.title = column.title
        self._column = column
        self._marks = marks
        self._cross = cross
        self._clashes = scene.clashes
        self._lines: dict[int, list[_Cell | None]] = {}
        starts = [stretch.span.start for stretch in scene.stretches]
        for box in column.boxes:
            first = bisect_left(starts, box.span.start)
            inside = starts[first : bisect_left(starts, box.span.end)]
            for number, start in enumerate(inside):
                cells = self._lines.setdefault(start, [None] * box.of_lanes)
                cells[box.lane] = self._cell(box, start, first=number == 0)
        # Only lanes that stand beside others need a width of their own.
        self._widths = [0] * column.lanes
        for cells in self._lines.values():
            for lane, cell in enumerate(cells[:-1]):
                self._widths[lane] = max(self._widths[lane], len(cell.text) if cell else 1)
        lengths = [len(self._text(cells, plain)) for cells in self._lines.values()]
        self.width = max([len(column.title), *lengths])

    def _cell(self, box: Box, start: int, *, first: bool) -> _Cell:
        met = any(box.id in clash.boxes and start in clash.span for clash in self._clashes)
        mark = self._marks[box.style]
        style = "clash" if met else LOOKS[box.style].paint
        words = f" {SIGNS[box.fate]}{_words(box)}" if first else ""
        if met:
            words += f" {self._cross} {CLASH_WORD}"
        return _Cell(f"{mark}{words}", style)

    def line(self, stretch: Stretch, paint: Paint) -> str:
        """Return the column's part of one line, padded."""
        cells = self._lines.get(stretch.span.start, [])
        return self._text(cells, paint) + " " * (self.width - len(self._text(cells, plain)))

    def _text(self, cells: Sequence[_Cell | None], paint: Paint) -> str:
        parts = []
        for lane, cell in enumerate(cells):
            text, style = (cell.text, cell.style) if cell else ("", "dim")
            pad = self._widths[lane] - len(text) if lane < len(cells) - 1 else 0
            parts.append(paint(text, style) + " " * max(pad, 0))
        return "  ".join(parts)


def _words(box: Box) -> str:
    """Return a box's name with what tells it apart."""
    if box.style is Style.USABLE:
        return box.name
    if box.style is Style.HOLE:
        return ", ".join([box.title, *box.facts[:1]])
    if box.kind.startswith(box.name):
        return box.kind
    return f"{box.title} ({box.kind})"
