"""A finding as text: the source line, carets under the value, the other side's line, what to do.

Nothing here reads files: the text of each is handed in. Source lines are shown as they will be
printed, with escapes for what a terminal would act on, so that carets stand below what they mean.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from planner.draw.paint import Paint, plain
from planner.findings import Finding, Party, Severity
from planner.judge.forbidden import groups_words, shorten
from planner.region import Loc
from planner.text.harmless import harmless
from planner.units import show_span

__all__ = ["render", "render_concise", "render_github", "source_text", "summary"]

#: Widest source line shown; a longer one is cut around the caret. Wide enough for any real layout.
_MAX_COLUMNS = 140
_TAB_COLUMNS = 4


def source_text(data: bytes) -> str:
    """Return a file's text as the reader of layouts sees it, for :func:`render`; never fails."""
    text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def render(
    finding: Finding,
    sources: Mapping[str, str],
    paint: Paint = plain,
) -> list[str]:
    """Return the full form of a finding, several lines.

    :param sources: text of the files that locations name; a file that is absent shows no lines.
    :param paint: colours a text by a severity's name, ``bold`` or ``gutter``.
    """
    lines = [_headline(finding, paint)]
    marks = _marks(finding)
    width = max((len(str(mark.loc.line)) for mark in marks), default=1)
    lines += _snippets(marks, sources, width, finding, paint)
    bullet = " " * width + " " + paint("=", "gutter") + " "
    lines += [bullet + party for party in _parties(finding, {mark.loc for mark in marks})]
    lines += [f"{bullet}{paint('note:', 'bold')} {note}" for note in finding.notes]
    if finding.help:
        lines.append(f"{bullet}{paint('help:', 'bold')} {finding.help}")
    return lines


def render_concise(finding: Finding) -> str:
    """Return one line: ``file:line:col: error[MM203] region-overlap: message``."""
    return _headline(finding, plain)


def render_github(finding: Finding) -> str:
    """Return a workflow command that GitHub shows beside the line."""
    level = {"error": "error", "warning": "warning", "note": "notice"}[finding.severity]
    properties = []
    if finding.loc:
        place = finding.loc
        properties = [f"file={_property(place.file)}", f"line={place.line}", f"col={place.column}"]
    properties.append(f"title={_property(f'{finding.code} {finding.name}')}")
    words = finding.message + (f"\nhelp: {finding.help}" if finding.help else "")
    return f"::{level} {','.join(properties)}::{_escaped(words)}"


def summary(findings: Iterable[Finding]) -> str:
    """Return the count of each severity: ``2 errors, 1 note``; ``no findings`` for none."""
    counts = dict.fromkeys(Severity, 0)
    for finding in findings:
        counts[finding.severity] += 1
    parts = [f"{n} {severity}{'s' * (n != 1)}" for severity, n in counts.items() if n]
    return ", ".join(parts) or "no findings"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")


def _headline(finding: Finding, paint: Paint) -> str:
    place = f"{finding.loc}: " if finding.loc else ""
    label = paint(f"{finding.severity}[{finding.code}]", finding.severity)
    return f"{place}{label} {finding.name}: {paint(finding.message, 'bold')}"


@dataclass(frozen=True, slots=True)
class _Underline:
    """A place to underline: with carets when it is the finding's own."""

    loc: Loc
    label: str
    own: bool


def _marks(finding: Finding) -> list[_Underline]:
    """Return the places to show: the finding's file first, in order of lines."""
    if not finding.loc:
        return []
    labels = dict(finding.also)
    marks = [_Underline(finding.loc, labels.get(finding.loc, ""), own=True)]
    marks += [
        _Underline(loc, label, own=False) for loc, label in finding.also if loc != finding.loc
    ]
    file = finding.loc.file
    return sorted(marks, key=lambda mark: (mark.loc.file != file, mark.loc))


def _snippets(
    marks: list[_Underline],
    sources: Mapping[str, str],
    width: int,
    finding: Finding,
    paint: Paint,
) -> list[str]:
    lines: list[str] = []
    file = finding.loc.file if finding.loc else ""
    shown_line: tuple[str, int] | None = None
    bar = paint("|", "gutter")
    for mark in marks:
        text = _line_of(sources, mark.loc)
        if text is None:
            if not mark.own:
                lines.append(" " * width + f" {paint('=', 'gutter')} {mark.loc}: {mark.label}")
            continue
        if mark.loc.file != file:
            file = mark.loc.file
            lines.append(" " * width + f"{paint('-->', 'gutter')} {file}")
        elif not lines:
            lines.append(" " * width + f" {bar}")
        view, start, length = _view(text, mark.loc.column)
        if shown_line != (mark.loc.file, mark.loc.line):
            number = paint(f"{mark.loc.line:>{width}}", "gutter")
            lines.append(f"{number} {bar} {view}".rstrip())
            shown_line = (mark.loc.file, mark.loc.line)
        sign = ("^" if mark.own else "-") * length
        sign = paint(sign, finding.severity if mark.own else "gutter")
        label = f" {mark.label}" if mark.label else ""
        lines.append(f"{' ' * width} {bar} {' ' * start}{sign}{label}")
    return lines


@lru_cache(maxsize=8)  # a file has up to a hundred findings, and up to a million lines
def _lines(text: str) -> list[str]:
    return text.split("\n")


def _line_of(sources: Mapping[str, str], loc: Loc) -> str | None:
    """Return the line a location is in; None when the text is not at hand or has no such line."""
    text = sources.get(loc.file)
    if text is None:
        return None
    lines = _lines(text)
    return lines[loc.line - 1] if loc.line <= len(lines) else None


def _view(text: str, column: int) -> tuple[str, int, int]:
    """Return a line fit to show, the columns before its mark, and the mark's length in columns."""
    begin = min(column - 1, len(text))
    end = max(begin + 1, _token_end(text, begin))
    first, head = 0, ""
    if end > _MAX_COLUMNS:  # cut the left, keep some of what leads to the mark
        first = max(0, begin - 40)
        head = "..." if first else ""
    pieces = [_display(character) for character in text[first : first + 2 * _MAX_COLUMNS]]
    widths = [_columns(piece) for piece in pieces]
    length = max(1, min(sum(widths[begin - first : end - first]), _MAX_COLUMNS // 2))
    view, used = head, len(head)
    for piece, piece_width in zip(pieces, widths, strict=True):
        if used + piece_width > _MAX_COLUMNS:
            view += "..."
            break
        view, used = view + piece, used + piece_width
    return view, len(head) + sum(widths[: begin - first]), length


def _display(character: str) -> str:
    return " " * _TAB_COLUMNS if character == "\t" else harmless(character)


def _columns(piece: str) -> int:
    """Return the terminal columns a piece takes: wide characters two, combining ones none."""
    return sum(
        0
        if unicodedata.combining(character)
        else 2
        if unicodedata.east_asian_width(character) in ("W", "F")
        else 1
        for character in piece
    )


def _token_end(text: str, begin: int) -> int:
    """Return where the YAML value that begins at *begin* ends on its line, by its looks.

    Only for underlining: a quoted text to its quote, a bracket to its partner, a plain word to
    whatever ends it, which in brackets is also a comma.
    """
    opening = text[begin : begin + 1]
    if opening.isspace():
        return begin + 1
    if opening in ('"', "'"):
        close = text.find(opening, begin + 1)
        return close + 1 if close >= 0 else len(text.rstrip())
    if opening in ("[", "{"):
        depth = 0
        for index in range(begin, min(len(text), begin + _MAX_COLUMNS)):
            depth += (text[index] in "[{") - (text[index] in "]}")
            if depth == 0:
                return index + 1
        return min(len(text.rstrip()), begin + _MAX_COLUMNS)
    before = text[:begin]
    in_flow = before.count("[") + before.count("{") > before.count("]") + before.count("}")
    ends = r"\s+#|:\s|:$|\s*$" + (r"|\s*[,\]}\[{]" if in_flow else "")
    within = text[begin : begin + _MAX_COLUMNS]
    match = re.search(ends, within)
    return begin + (match.start() if match else len(within))


def _parties(finding: Finding, shown: set[Loc]) -> Iterable[str]:
    """Say who the two sides are, unless their lines are shown already."""
    for party in finding.parties:
        if party.origin and party.origin.loc in shown:
            continue
        if party.groups and not (party.span or party.origin or party.host or party.devices):
            continue  # the message names the groups
        yield _party(party)


def _party(party: Party) -> str:
    words = [f"{party.kind} '{party.name}'" if party.kind else f"'{party.name}'"]
    if party.name == party.kind:
        words = [party.kind]
    if party.span:
        words.append(show_span(party.span))
    if party.groups:
        words.append(f"of {groups_words(party.groups)}")
    if party.host:
        words.append(f"on {party.host}")
    if party.devices:
        words.append(f"({shorten(party.devices)})")
    text = " ".join(words)
    return f"{text}, from {party.origin}" if party.origin else text
