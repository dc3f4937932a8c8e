"""The parser's complaints in the words of whoever wrote the file.

PyYAML says where its grammar stopped, not what the author did. The commonest mistakes get a
sentence of their own; the parser's text stays as a note. Works on the words of libyaml and of
PyYAML's own parser, and needs neither: any object with a problem, a context and marks will do.
"""

from __future__ import annotations

import re
from typing import Protocol

from planner.findings import Finding
from planner.region import Loc

__all__ = ["MarkedError", "explain_error"]


class Mark(Protocol):
    """A place, counted from 0."""

    @property
    def line(self) -> int:
        """The line."""
        ...

    @property
    def column(self) -> int:
        """The column, in characters."""
        ...


class MarkedError(Protocol):
    """What is read of a ``yaml.MarkedYAMLError``."""

    context: str | None
    problem: str | None

    @property
    def context_mark(self) -> Mark | None:
        """Where what was being read began."""
        ...

    @property
    def problem_mark(self) -> Mark | None:
        """Where it could not go on."""
        ...


_NO_SPACE = re.compile(r"\s*(?:- +)*(?P<key>[A-Za-z][A-Za-z0-9_-]*):(?P<value>[^\s:/].*)\Z")
_TWO_COLONS = re.compile(
    r"\s*(?:- +)*[^\s:'\"\[\]{},#-][^:]*: +(?P<value>[^\s'\"\[{#].*: .*|[^\s'\"\[{#].*:)\Z"
)
_MISPLACED = (
    "mapping values are not allowed",
    "did not find expected key",
    "did not find expected '-' indicator",
    "could not find expected ':'",
    "expected <block end>",
    "found undefined tag handle",
)


def explain_error(error: MarkedError, lines: list[str], file: str) -> Finding:
    """Return the finding MM101 (or MM103 for a directive) for a parser error.

    :param lines: the text, split at line ends.
    """
    return _Explainer(error, lines, file).finding()


class _Explainer:
    def __init__(self, error: MarkedError, lines: list[str], file: str) -> None:
        self._lines = lines
        self._file = file
        self._problem = error.problem or "no reason given"
        self._context = error.context or ""
        self._at = self._inside(error.problem_mark or error.context_mark)
        self._from = self._inside(error.context_mark or error.problem_mark)
        said = f"{self._context}: {self._problem}" if self._context else self._problem
        self._notes = (f"the YAML parser says: {said}",)

    def finding(self) -> Finding:
        """Try the known mistakes, most certain first."""
        return (
            self._directive()
            or self._tab()
            or self._quote()
            or self._bracket()
            or self._no_space()
            or self._two_colons()
            or self._start_character()
            or self._indent()
            or self._make(self._at, f"the file is not YAML here: {self._problem}")
        )

    def _inside(self, mark: Mark | None) -> tuple[int, int]:
        """Return (line, column) from 0; the end of the stream counts as the last written line."""
        if mark is None:
            return 0, 0
        line, column = mark.line, mark.column
        while line > 0 and (line >= len(self._lines) or not self._lines[line].strip()):
            line -= 1
            column = len(self._lines[line]) if line < len(self._lines) else 0
        return line, column

    def _make(
        self,
        place: tuple[int, int],
        message: str,
        help_text: str = "",
        also: tuple[tuple[Loc, str], ...] = (),
        code: str = "MM101",
    ) -> Finding:
        return Finding(
            code, message, help=help_text, loc=self._loc(place), also=also, notes=self._notes
        )

    def _loc(self, place: tuple[int, int]) -> Loc:
        return Loc(self._file, place[0] + 1, place[1] + 1)

    def _line(self, number: int) -> str:
        return self._lines[number] if number < len(self._lines) else ""

    def _directive(self) -> Finding | None:
        line = self._from[0]
        if not self._line(line).startswith("%"):
            return None
        return self._make(
            (line, 0),
            "a directive (%) changes how YAML is read, which guestmap does not take",
            "remove the line",
            code="MM103",
        )

    def _tab(self) -> Finding | None:
        line, column = self._at
        text = self._line(line)
        indent = text[: len(text) - len(text.lstrip())]
        at_tab = column < len(text) and text[column] == "\t"
        if "\t" in indent:
            column = indent.index("\t")
        elif not (at_tab and "cannot start any token" in self._problem):
            return None
        return self._make(
            (line, column),
            "a tab stands where YAML wants spaces",
            "replace the tab by spaces; most editors do that for .yaml files when told so",
        )

    def _quote(self) -> Finding | None:
        unclosed = "end of stream" in self._problem or "document indicator" in self._problem
        if "scalar" not in self._context or not unclosed:
            return None
        line, column = self._from
        mark = self._line(line)[column : column + 1] or '"'
        return self._make(
            self._from,
            f"the quote ({mark}) that opens here is never closed",
            f"close it with another {mark}, or double it where it is part of the text"
            if mark == "'"
            else f'close it with another {mark}, or write \\" where it is part of the text',
        )

    def _bracket(self) -> Finding | None:
        if "flow sequence" not in self._context and "flow mapping" not in self._context:
            return None
        line, column = self._from
        opening = "[" if "sequence" in self._context else "{"
        closing = "]" if opening == "[" else "}"
        if self._line(line)[column : column + 1] not in ("[", "{"):
            return None
        if self._at[0] == line and self._at[1] < len(self._line(line)):
            return self._make(
                self._at,
                f"a ',' or the closing '{closing}' is missing before this",
                f"put ', ' between the items, or '{closing}' after the last",
                also=((self._loc(self._from), f"the '{opening}' opens here"),),
            )
        return self._make(
            self._from,
            f"the '{opening}' that opens here is not closed",
            f"put '{closing}' after its last item",
        )

    def _no_space(self) -> Finding | None:
        if not self._misplaced():
            return None
        line = self._at[0]
        for number in (line, self._before(line)):
            match = _NO_SPACE.match(self._line(number))
            if match:
                place = (number, match.start("value") - 1)
                fixed = f"{match['key']}: {match['value']}"
                return self._make(
                    place, "there is no space after the colon", f"write '{fixed.rstrip()}'"
                )
        return None

    def _two_colons(self) -> Finding | None:
        line, column = self._at
        match = _TWO_COLONS.match(self._line(line))
        if "mapping values" not in self._problem or not match or match.start("value") > column:
            return None
        value = match["value"].rstrip()
        return self._make(
            self._at,
            "a value with ': ' in it looks like a second key on this line",
            f"put the value in quotes: '{value}'"
            if "'" not in value
            else "put the value in quotes, or the second key on a line of its own",
        )

    def _start_character(self) -> Finding | None:
        if "cannot start any token" not in self._problem:
            return None
        line, column = self._at
        character = self._line(line)[column : column + 1]
        return self._make(
            self._at, f"a value cannot start with '{character}'", "put the value in quotes"
        )

    def _indent(self) -> Finding | None:
        if not self._misplaced():
            return None
        line = self._at[0]
        text = self._line(line)
        width = len(text) - len(text.lstrip(" "))
        before = self._before(line)
        other = self._line(before)
        if before == line:
            return None
        other_width = len(other) - len(other.lstrip(" "))
        also = ((self._loc((before, other_width)), f"this one by {_columns(other_width)}"),)
        if "'-' indicator" in self._problem or (width == other_width and other[width] == "-"):
            return self._make(
                (line, width),
                "a key stands where the list above would have its next '-'",
                "indent it below the list's key, or start it with '- '",
            )
        no_key = "expected key" in self._problem or "found '-'" in self._problem
        if no_key and text[width : width + 2] in ("-", "- "):
            return self._make(
                (line, width),
                "a list item stands where the mapping above would have its next key",
                "indent it below the key whose list it belongs to",
            )
        if width == other_width:
            return None
        return self._make(
            (line, width),
            f"this line is indented by {_columns(width)}, which fits nothing above it",
            "indent the keys of one mapping alike, and the items of one list alike",
            also,
        )

    def _misplaced(self) -> bool:
        return any(words in self._problem for words in _MISPLACED)

    def _before(self, line: int) -> int:
        """Return the nearest line above that is not blank or a comment, or *line* itself."""
        for number in range(line - 1, -1, -1):
            text = self._lines[number].strip()
            if text and not text.startswith("#"):
                return number
        return line


def _columns(width: int) -> str:
    return "1 space" if width == 1 else f"{width} spaces"
