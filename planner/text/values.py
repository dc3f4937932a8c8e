"""The kinds of value a file may hold: how each is read, named in messages, and put in JSON Schema.

A value that is wrong is reported and becomes :data:`WRONG`; nothing raises. Tables are made of
these by :mod:`planner.text.fields`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from planner.region import Loc
from planner.text.collect import Collector
from planner.text.pci import PCI_SCHEMA, PLATFORM_SCHEMA, device_name
from planner.text.source import Mapping, Node, Scalar, Sequence
from planner.text.spelling import quoted, spell
from planner.text.words import SHOWN_CHARS, listed, nearest, shown
from planner.units import UnitError, parse_address, parse_size

__all__ = [
    "WRONG",
    "Address",
    "Choice",
    "Count",
    "Device",
    "Flag",
    "Number",
    "Run",
    "Single",
    "Size",
    "Text",
    "Type",
    "Version",
]

#: Stands for "wrong, and reported": never a value.
WRONG: Any = object()

_NUMBER = r"(0x[0-9a-fA-F]+(_[0-9a-fA-F]+)*|(0|[1-9][0-9]*(_[0-9]+)*) ?([KMGTPE](iB)?|B)?)"


class Type(Protocol):
    """A kind of value."""

    @property
    def word(self) -> str:
        """What it is, with an article, for messages and the reference."""
        ...

    def read(self, node: Node, path: str, run: Run) -> Any:
        """Return the value, or report and return the mark for a wrong one."""
        ...

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema, draft-07."""
        ...


class Single:
    """A kind of value that is one scalar."""

    __slots__ = ()
    word: str

    @property
    def want(self) -> str:
        """What a list or mapping stands in the place of."""
        return self.word

    def read(self, node: Node, path: str, run: Run) -> Any:
        """Return the value, or report and return the mark for a wrong one."""
        if not isinstance(node, Scalar):
            return run.wrong_shape(node, path, self.want)
        return WRONG if node.empty else self.value(node, path, run)

    def value(self, node: Scalar, _path: str, _run: Run) -> Any:
        """Return the value of what is written there, or report it."""
        return node.text

    def spell(self, text: str) -> str:
        """Return a value's canonical spelling, as YAML: as it was written."""
        return text


@dataclass(frozen=True, slots=True)
class Run:
    """One load: where findings go and where values stand."""

    found: Collector
    locs: dict[str, Loc] = field(default_factory=dict)

    def wrong_shape(self, node: Node, path: str, want: str) -> Any:
        """Report MM108 and return :data:`WRONG`."""
        self.found.report(
            "MM108",
            node.loc,
            f"{_name(path)} is {_shape(node)} where {want} is expected",
            help=_shape_help(node, want),
        )
        return WRONG

    def wrong(self, code: str, node: Node, message: str, help_text: str = "") -> Any:
        """Report a finding and return :data:`WRONG`."""
        self.found.report(code, node.loc, message, help=help_text)
        return WRONG


def _name(path: str) -> str:
    return f"'{path}'" if path else "the file"


def _shape(node: Node) -> str:
    if isinstance(node, Mapping):
        return "a mapping"
    return "a list" if isinstance(node, Sequence) else f"the value {shown(node.text)}"


def _shape_help(node: Node, want: str) -> str:
    if isinstance(node, Scalar):
        key, colon, value = node.text.partition(":")
        if "mapping" in want and colon and value and not value.startswith(" "):
            return f"put a space after the colon: '{key}: {value}'"[:SHOWN_CHARS]
        if "list" in want:
            return f"write a list: [{node.text}]"[:SHOWN_CHARS]
    return ""


@dataclass(frozen=True, slots=True)
class Text(Single):
    """Free text, optionally of a pattern."""

    #: Regular expression for the whole text, in the syntax JSON Schema shares with Python.
    pattern: str = ""
    #: What the pattern admits, in words.
    says: str = ""
    max_chars: int = 256
    #: Whether white space alone will do: for names that somebody else gave.
    blank: bool = False
    word: str = "text"

    def value(self, node: Scalar, path: str, run: Run) -> Any:
        """Take the spelling as it is."""
        if not self.blank and not node.text.strip():
            return run.wrong("MM109", node, f"{_name(path)} is empty text", "write a value")
        if len(node.text) > self.max_chars:
            return run.wrong(
                "MM108",
                node,
                f"{_name(path)} has {len(node.text)} characters; {self.max_chars} are the most",
            )
        if self.pattern and not re.fullmatch(self.pattern, node.text):
            return run.wrong("MM111", node, f"{_name(path)} is {shown(node.text)}, not {self.says}")
        return node.text

    def spell(self, text: str) -> str:
        """Quote it where a reader might take it for a number."""
        return spell(text)

    def schema(self) -> dict[str, Any]:
        """Allow numbers too: editors read an unquoted 7.2 as one."""
        text: dict[str, Any] = {"type": "string", "maxLength": self.max_chars}
        if not self.blank:
            text["pattern"] = f"^(?:{self.pattern})$" if self.pattern else r"\S"
        return {"anyOf": [text, {"type": "number", "minimum": 0}, {"type": "boolean"}]}


class Number(Single):
    """What addresses and sizes have in common: the grammar of :mod:`planner.units`."""

    __slots__ = ()
    most: ClassVar[int] = 1 << 64

    @staticmethod
    def parse(text: str) -> int:
        """Return what a text says; a UnitError says what is wrong with it."""
        return parse_size(text)

    def value(self, node: Scalar, path: str, run: Run) -> Any:
        """Read a number of bytes."""
        try:
            return self.parse(node.text)
        except UnitError as error:
            return run.wrong("MM110", node, f"{_name(path)} is not {self.word}: {error}")

    def spell(self, text: str) -> str:
        """Write it without space, hexadecimal digits in lower case."""
        plain = text.replace(" ", "")
        return plain.lower() if plain.startswith("0x") else plain

    def schema(self) -> dict[str, Any]:
        """Allow an integer or its spelling."""
        return {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": self.most},
                {"type": "string", "pattern": f"^{_NUMBER}$", "maxLength": 40},
            ]
        }


@dataclass(frozen=True, slots=True)
class Address(Number):
    """A byte address, below 2**64."""

    most: ClassVar[int] = (1 << 64) - 1
    word: str = "an address"

    @staticmethod
    def parse(text: str) -> int:
        """Read an address."""
        return parse_address(text)


@dataclass(frozen=True, slots=True)
class Size(Number):
    """A size in bytes, at most 2**64."""

    word: str = "a size"

    def value(self, node: Scalar, path: str, run: Run) -> Any:
        """Read a size, and say when it is no whole number of pages."""
        value = Number.value(self, node, path, run)
        if value is not WRONG and value % 4096:
            run.found.report(
                "MM114",
                node.loc,
                f"{_name(path)} is {value:#x} bytes, which is no whole number of 4 KiB pages",
                help=f"a number without unit is bytes; write {node.text}MiB if MiB are meant"
                if node.text.isdigit() and value < 1 << 20
                else "no IOMMU maps less than a page",
            )
        return value


@dataclass(frozen=True, slots=True)
class Count(Single):
    """A whole number between two bounds, both included."""

    least: int
    most: int
    word: str = "a count"

    @property
    def want(self) -> str:
        """Say what a count is."""
        return "a whole number"

    def value(self, node: Scalar, path: str, run: Run) -> Any:
        """Read plain decimal digits."""
        plain = re.fullmatch(r"0|[1-9][0-9]{0,18}", node.text)
        if not plain or not self.least <= int(node.text) <= self.most:
            return run.wrong(
                "MM110",
                node,
                f"{_name(path)} is {shown(node.text)}, not a whole number"
                f" from {self.least} to {self.most}",
            )
        return int(node.text)

    def schema(self) -> dict[str, Any]:
        """Allow an integer or its digits."""
        return {
            "anyOf": [
                {"type": "integer", "minimum": self.least, "maximum": self.most},
                {"type": "string", "pattern": r"^(0|[1-9][0-9]{0,18})$"},
            ]
        }


@dataclass(frozen=True, slots=True)
class Choice(Single):
    """One of some words; the value is the word."""

    words: tuple[str, ...]
    word: str = "a word"

    @property
    def want(self) -> str:
        """List the words."""
        return f"one of {listed(self.words)}"

    def value(self, node: Scalar, path: str, run: Run) -> Any:
        """Take a known word; name the nearest for any other."""
        if node.text not in self.words:
            near = nearest(node.text, self.words)
            return run.wrong(
                "MM111",
                node,
                f"{_name(path)} is {shown(node.text)}, which is none of its words",
                (f"write '{near}'; " if near else "") + f"known are {listed(self.words)}",
            )
        return node.text

    def schema(self) -> dict[str, Any]:
        """List the words."""
        return {"enum": list(self.words)}


@dataclass(frozen=True, slots=True)
class Flag(Choice):
    """``true`` or ``false``, in no other spelling."""

    words: tuple[str, ...] = ("true", "false")
    word: str = "true or false"

    def value(self, node: Scalar, path: str, run: Run) -> Any:
        """Return a bool."""
        got = Choice.value(self, node, path, run)
        return got if got is WRONG else got == "true"

    def schema(self) -> dict[str, Any]:
        """Allow the word as text too."""
        return {"enum": [True, False, "true", "false"]}


@dataclass(frozen=True, slots=True)
class Device(Single):
    """A host device: a PCI address, short or full, or the name of a platform device."""

    word: str = "a PCI address or device name"

    @property
    def want(self) -> str:
        """Name the commoner kind."""
        return "a PCI address"

    def value(self, node: Scalar, path: str, run: Run) -> Any:
        """Return the name in full form."""
        try:
            return device_name(node.text)
        except ValueError as error:
            return run.wrong(
                "MM112", node, str(error), "write domain:bus:slot.function, as in 0000:29:00.0"
            )

    def spell(self, text: str) -> str:
        """Write it in full and quoted always: 01:00.0 is a number to YAML 1.1."""
        return quoted(device_name(text))

    def schema(self) -> dict[str, Any]:
        """Allow strings only: an editor that reads 01:00.0 as a number should say so."""
        return {
            "anyOf": [
                {"type": "string", "pattern": PCI_SCHEMA},
                {"type": "string", "pattern": PLATFORM_SCHEMA},
            ]
        }


@dataclass(frozen=True, slots=True)
class Version(Single):
    """The version of the file's schema."""

    known: tuple[int, ...]
    word: str = "a schema version"

    def value(self, node: Scalar, path: str, run: Run) -> Any:
        """Take a known version."""
        if node.text not in map(str, self.known):
            return run.wrong(
                "MM113",
                node,
                f"schema version {shown(node.text)} is not known here",
                f"write {self.known[-1]}, or use the guestmap the file was written for",
            )
        return int(node.text)

    def schema(self) -> dict[str, Any]:
        """List the versions."""
        return {"enum": [*self.known, *map(str, self.known)]}
