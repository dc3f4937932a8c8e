"""What a file may say: one table of fields that loads it, describes it and makes its JSON Schema.

A table is a :class:`Record` of :class:`Field`; each field has a type from this module. Everything
wrong with a file is collected (MM106 to MM113), nothing raises.

>>> from planner.collect import Collector
>>> from planner.yaml_source import read
>>> region = Record("region", (
...     Field("base", Address(), "first byte", required=True),
...     Field("type", Choice(("direct", "msi")), "the kernel's word", required=True)))
>>> table = Record("host", (
...     Field("schema", Version((1,)), "schema version", required=True),
...     Field("name", Text(), "name of the host", required=True),
...     Field("address-bits", Count(1, 64), "width of the IOMMU's addresses"),
...     Field("regions", Items(region), "reserved regions")))
>>> data = b"{schema: 1, name: a, regions: [{base: 0x1000, type: msi}]}"
>>> root, findings = read(data, "f.yaml")
>>> found = Collector("f.yaml")
>>> loaded = load(table, root, found)
>>> loaded.values["regions"][0]["base"], str(loaded.locs["regions.0.base"]), found.findings()
(4096, 'f.yaml:1:39', [])

Values come back as plain dicts, lists, ints and strings; a wrong or absent one is left out of its
dict, so test ``found.failed`` before relying on required keys. ``locs`` maps dotted paths to
places; ``""`` is the root.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from planner.collect import Collector
from planner.region import Loc
from planner.units import UnitError, parse_address, parse_size
from planner.yaml_source import Mapping, Node, Scalar, Sequence

__all__ = [
    "Address",
    "Choice",
    "Count",
    "Device",
    "Field",
    "Flag",
    "Items",
    "Loaded",
    "Record",
    "Size",
    "Text",
    "Version",
    "Words",
    "json_schema",
    "load",
    "nearest",
    "normalise_device",
    "rows",
]

#: Stands for "wrong, and reported": never a value.
_WRONG: Any = object()

#: Longest spelling that is quoted back in a message.
_SHOWN_CHARS = 60

_NUMBER = r"(0x[0-9a-fA-F]+(_[0-9a-fA-F]+)*|(0|[1-9][0-9]*(_[0-9]+)*) ?([KMGTPE](iB)?|B)?)"
_PCI = re.compile(r"(?:([0-9a-fA-F]{4,8}):)?([0-9a-fA-F]{2}):([01][0-9a-fA-F])\.([0-7])\Z")
#: Whatever is made of the characters of a PCI address only is meant as one.
_PCI_LIKE = re.compile(r"[0-9a-fA-F]{1,8}:[0-9a-fA-F:.]*\Z|[0-9a-fA-F]{1,2}\.[0-9a-fA-F]\Z")
_PLATFORM = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@+,-]{0,127}\Z")
_PCI_SCHEMA = r"^([0-9a-fA-F]{4,8}:)?[0-9a-fA-F]{2}:[01][0-9a-fA-F]\.[0-7]$"
_PLATFORM_SCHEMA = (
    r"^(?![0-9a-fA-F]{1,8}:[0-9a-fA-F:.]*$)(?![0-9a-fA-F]{1,2}\.[0-9a-fA-F]$)"
    r"[A-Za-z0-9][A-Za-z0-9_.:@+,-]{0,127}$"
)


class Type(Protocol):
    """A kind of value."""

    @property
    def word(self) -> str:
        """What it is, with an article, for messages and the reference."""
        ...

    def read(self, node: Node, path: str, run: _Run) -> Any:
        """Return the value, or report and return the mark for a wrong one."""
        ...

    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema, draft-07."""
        ...


@dataclass(frozen=True, slots=True)
class Field:
    """One key of a mapping."""

    key: str
    type: Type
    #: What it says, one line, for the reference and for editors.
    summary: str
    required: bool = False
    #: What is taken when it is absent, in words.
    default: str = ""
    #: A value an author would write, for the reference.
    example: str = ""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What :func:`load` made of a file."""

    values: dict[str, Any]
    #: Where each value stands, by dotted path.
    locs: dict[str, Loc]


@dataclass(frozen=True, slots=True)
class _Run:
    """One load: where findings go and where values stand."""

    found: Collector
    locs: dict[str, Loc] = field(default_factory=dict)

    def wrong_shape(self, node: Node, path: str, want: str) -> Any:
        self.found.report(
            "MM108",
            node.loc,
            f"{_name(path)} is {_shape(node)} where {want} is expected",
            help=_shape_help(node, want),
        )
        return _WRONG

    def wrong(self, code: str, node: Node, message: str, help_text: str = "") -> Any:
        self.found.report(code, node.loc, message, help=help_text)
        return _WRONG


def load(table: Record, root: Node | None, found: Collector) -> Loaded:
    """Read a tree by a table; what is wrong goes to *found*."""
    run = _Run(found)
    if root is None:
        return Loaded({}, run.locs)
    values = table.read(root, "", run)
    return Loaded({} if values is _WRONG else values, run.locs)


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known word that looks most like *word*, or an empty string."""
    plain = word[:_SHOWN_CHARS].lower().replace("_", "-")
    by_plain = {candidate.lower(): candidate for candidate in known}
    found = difflib.get_close_matches(plain, by_plain, n=1, cutoff=0.6)
    return by_plain[found[0]] if found else ""


def shown(text: str) -> str:
    """Return a spelling in quotes, cut when it is long."""
    return f"'{text}'" if len(text) <= _SHOWN_CHARS else f"'{text[: _SHOWN_CHARS - 1]}…'"


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
            return f"put a space after the colon: '{key}: {value}'"[:_SHOWN_CHARS]
        if "list" in want:
            return f"write a list: [{node.text}]"[:_SHOWN_CHARS]
    return ""


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)


@dataclass(frozen=True, slots=True)
class Text:
    """Free text, optionally of a pattern."""

    #: Regular expression for the whole text, in the syntax JSON Schema shares with Python.
    pattern: str = ""
    #: What the pattern admits, in words.
    says: str = ""
    max_chars: int = 256
    word: str = "text"

    def read(self, node: Node, path: str, run: _Run) -> Any:
        """Take the spelling as it is."""
        if not isinstance(node, Scalar):
            return run.wrong_shape(node, path, "text")
        if node.empty:
            return _WRONG
        if not node.text.strip():
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

    def schema(self) -> dict[str, Any]:
        """Allow numbers too: editors read an unquoted 7.2 as one."""
        text: dict[str, Any] = {"type": "string", "maxLength": self.max_chars}
        text["pattern"] = f"^(?:{self.pattern})$" if self.pattern else r"\S"
        return {"anyOf": [text, {"type": "number", "minimum": 0}, {"type": "boolean"}]}


@dataclass(frozen=True, slots=True)
class Address:
    """A byte address, below 2**64."""

    word: str = "an address"

    def read(self, node: Node, path: str, run: _Run) -> Any:
        """Read by the grammar of :mod:`planner.units`."""
        return _number(node, path, run, parse_address, self.word)

    def schema(self) -> dict[str, Any]:
        """Allow an integer or its spelling."""
        return _number_schema((1 << 64) - 1)


@dataclass(frozen=True, slots=True)
class Size:
    """A size in bytes, at most 2**64."""

    word: str = "a size"

    def read(self, node: Node, path: str, run: _Run) -> Any:
        """Read by the grammar of :mod:`planner.units`."""
        value = _number(node, path, run, parse_size, self.word)
        if value is not _WRONG and value % 4096 and isinstance(node, Scalar):
            run.found.report(
                "MM114",
                node.loc,
                f"{_name(path)} is {value:#x} bytes, which is no whole number of 4 KiB pages",
                help=f"a number without unit is bytes; write {node.text}MiB if MiB are meant"
                if node.text.isdigit() and value < 1 << 20
                else "no IOMMU maps less than a page",
            )
        return value

    def schema(self) -> dict[str, Any]:
        """Allow an integer or its spelling."""
        return _number_schema(1 << 64)


def _number(node: Node, path: str, run: _Run, parse: Any, word: str) -> Any:
    if not isinstance(node, Scalar):
        return run.wrong_shape(node, path, word)
    if node.empty:
        return _WRONG
    try:
        return parse(node.text)
    except UnitError as error:
        return run.wrong("MM110", node, f"{_name(path)} is not {word}: {error}")


def _number_schema(maximum: int) -> dict[str, Any]:
    return {
        "anyOf": [
            {"type": "integer", "minimum": 0, "maximum": maximum},
            {"type": "string", "pattern": f"^{_NUMBER}$", "maxLength": 40},
        ]
    }


@dataclass(frozen=True, slots=True)
class Count:
    """A whole number between two bounds, both included."""

    least: int
    most: int
    word: str = "a count"

    def read(self, node: Node, path: str, run: _Run) -> Any:
        """Read plain decimal digits."""
        if not isinstance(node, Scalar):
            return run.wrong_shape(node, path, "a whole number")
        if node.empty:
            return _WRONG
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
class Choice:
    """One of some words; the value is the word."""

    words: tuple[str, ...]
    word: str = "a word"

    def read(self, node: Node, path: str, run: _Run) -> Any:
        """Take a known word; name the nearest for any other."""
        if not isinstance(node, Scalar):
            return run.wrong_shape(node, path, f"one of {_listed(self.words)}")
        if node.empty:
            return _WRONG
        if node.text not in self.words:
            near = nearest(node.text, self.words)
            return run.wrong(
                "MM111",
                node,
                f"{_name(path)} is {shown(node.text)}, which is none of its words",
                (f"write '{near}'; " if near else "") + f"known are {_listed(self.words)}",
            )
        return node.text

    def schema(self) -> dict[str, Any]:
        """List the words."""
        return {"enum": list(self.words)}


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false, spelled so: YAML 1.1's yes, no, on and off are refused."""

    word: str = "true or false"

    def read(self, node: Node, path: str, run: _Run) -> Any:
        """Take ``true`` and ``false`` only."""
        if not isinstance(node, Scalar):
            return run.wrong_shape(node, path, self.word)
        if node.empty:
            return _WRONG
        if node.text not in ("true", "false"):
            yes = node.text.lower() in ("yes", "on", "y", "true", "1")
            return run.wrong(
                "MM111",
                node,
                f"{_name(path)} is {shown(node.text)}, not true or false",
                f"write {'true' if yes else 'false'}",
            )
        return node.text == "true"

    def schema(self) -> dict[str, Any]:
        """Allow the boolean or its spelling."""
        return {"enum": [True, False, "true", "false"]}


def normalise_device(text: str) -> str:
    """Return a PCI address in full lower case, ``29:00.0`` as ``0000:29:00.0``; other names as is.

    :raise ValueError: the text is neither a PCI address nor a device name; the message says why.
    """
    match = _PCI.match(text)
    if match:
        domain, bus, slot, function = match.groups()
        return f"{domain or '0000'}:{bus}:{slot}.{function}".lower()
    if _PCI_LIKE.match(text):
        raise ValueError(_why_no_pci(text))
    if not _PLATFORM.match(text):
        raise ValueError(f"{shown(text)} is neither a PCI address nor the name of a device")
    return text


def _why_no_pci(text: str) -> str:
    body, dot, function = text.rpartition(".")
    if not dot and text.count(":") < 3:
        return f"{shown(text)} lacks the function of a PCI address, as in '{text[:12]}.0'"
    if not re.fullmatch(r"[0-7]", function):
        return f"{shown(text)} has function '{function[:8]}'; a PCI function is 0 to 7"
    parts = body.split(":")
    if len(parts) in (2, 3) and re.fullmatch(r"[0-9a-fA-F]{2}", parts[-1]):
        if int(parts[-1], 16) > 0x1F:
            return f"{shown(text)} has slot '{parts[-1]}'; a PCI slot is 00 to 1f"
        if len(parts) == 3 and len(parts[0]) < 4:
            return f"{shown(text)} has domain '{parts[0]}'; a PCI domain has four digits"
    return f"{shown(text)} is not a PCI address"


@dataclass(frozen=True, slots=True)
class Device:
    """A host device: a PCI address, short or full, or the name of a platform device."""

    word: str = "a PCI address or device name"

    def read(self, node: Node, path: str, run: _Run) -> Any:
        """Return the name in full form."""
        if not isinstance(node, Scalar):
            return run.wrong_shape(node, path, "a PCI address")
        if node.empty:
            return _WRONG
        try:
            return normalise_device(node.text)
        except ValueError as error:
            return run.wrong(
                "MM112", node, str(error), "write domain:bus:slot.function, as in 0000:29:00.0"
            )

    def schema(self) -> dict[str, Any]:
        """Allow strings only: an editor that reads 01:00.0 as a number should say so."""
        return {
            "anyOf": [
                {"type": "string", "pattern": _PCI_SCHEMA},
                {"type": "string", "pattern": _PLATFORM_SCHEMA},
            ]
        }


@dataclass(frozen=True, slots=True)
class Version:
    """The version of the file's schema."""

    known: tuple[int, ...]
    word: str = "a schema version"

    def read(self, node: Node, path: str, run: _Run) -> Any:
        """Take a known version."""
        if not isinstance(node, Scalar):
            return run.wrong_shape(node, path, self.word)
        if node.empty:
            return _WRONG
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


@dataclass(frozen=True, slots=True)
class Words:
    """A mapping of free keys to text, as options of another program."""

    word: str = "a mapping of names to text"

    def read(self, node: Node, path: str, run: _Run) -> Any:
        """Return a dict of text."""
        if not isinstance(node, Mapping):
            return run.wrong_shape(node, path, "a mapping")
        run.locs[path] = node.loc
        values: dict[str, str] = {}
        for key, value in node.items:
            run.locs[f"{path}.{key.text}"] = key.loc
            got = Text().read(value, f"{path}.{key.text}", run)
            if got is not _WRONG:
                values[key.text] = got
        return values

    def schema(self) -> dict[str, Any]:
        """Allow any key."""
        return {"type": "object", "additionalProperties": Text().schema()}


@dataclass(frozen=True, slots=True)
class Items:
    """A list of values of one type."""

    item: Type
    least: int = 0

    @property
    def word(self) -> str:
        """What it is a list of."""
        return f"a list; each item is {self.item.word}"

    def read(self, node: Node, path: str, run: _Run) -> Any:
        """Return a list without the wrong items."""
        if isinstance(node, Scalar) and node.empty:
            return _WRONG
        if not isinstance(node, Sequence):
            return run.wrong_shape(node, path, "a list")
        values: list[Any] = []
        for index, item in enumerate(node.items):
            at = f"{path}.{index}"
            run.locs[at] = item.loc
            got = self.item.read(item, at, run)
            # Paths stay those of the values: a wrong mapping is an empty one, other items shift.
            if got is _WRONG and isinstance(self.item, Record):
                got = {}
            if got is not _WRONG:
                run.locs[f"{path}.{len(values)}"] = item.loc
                values.append(got)
        if len(node.items) < self.least:
            return run.wrong("MM109", node, f"{_name(path)} is an empty list", "write an item")
        return values

    def schema(self) -> dict[str, Any]:
        """Describe the items."""
        data: dict[str, Any] = {"type": "array", "items": self.item.schema()}
        if self.least:
            data["minItems"] = self.least
        return data


@dataclass(frozen=True, slots=True)
class Record:
    """A mapping with known keys."""

    #: What it describes: ``region``, ``machine``.
    name: str
    fields: tuple[Field, ...]

    @property
    def word(self) -> str:
        """What it is."""
        return f"a mapping ({self.name})"

    def read(self, node: Node, path: str, run: _Run) -> Any:
        """Return a dict of the values; a mapping that lacks a key is returned all the same."""
        if isinstance(node, Scalar) and node.empty:
            return _WRONG
        if not isinstance(node, Mapping):
            return run.wrong_shape(node, path, "a mapping")
        run.locs[path] = node.loc
        known = {known.key: known for known in self.fields}
        values: dict[str, Any] = {}
        met: set[str] = set()
        for key, value in node.items:
            if key.empty:
                continue
            if key.text not in known:
                met.add(self._unknown(key, value, known, path, run))
                continue
            met.add(key.text)
            at = f"{path}.{key.text}" if path else key.text
            run.locs[at] = value.loc
            got = known[key.text].type.read(value, at, run)
            if got is not _WRONG:
                values[key.text] = got
        for wanted in self.fields:
            if wanted.required and wanted.key not in met:
                where = f"'{path}'" if path else f"the {self.name}"
                example = wanted.example or wanted.type.word
                run.found.report(
                    "MM107",
                    node.loc,
                    f"{where} lacks '{wanted.key}'",
                    help=f"add '{wanted.key}: {example}' ({wanted.summary})"
                    if wanted.example
                    else f"add '{wanted.key}' ({wanted.summary})",
                )
        return values

    def _unknown(
        self, key: Scalar, value: Node, known: dict[str, Field], path: str, run: _Run
    ) -> str:
        """Report a key and return the known one it was meant for, or an empty string."""
        if run.found.full:  # looking for the nearest key costs more than all the rest
            run.found.report("MM106", key.loc, "")
            return ""
        name = key.text.partition(":")[0]
        if name in known and isinstance(value, Scalar) and value.empty:
            return name  # `{type:virt}`; the reader has said that a space is missing
        near = nearest(key.text, known)
        where = f"'{path}'" if path else f"the {self.name}"
        run.found.report(
            "MM106",
            key.loc,
            f"{where} has no key {shown(key.text)}",
            help=(f"write '{near}'; " if near else "") + f"known are {_listed(known)}",
        )
        return near

    def schema(self) -> dict[str, Any]:
        """Describe the keys."""
        properties = {}
        for known in self.fields:
            described = {"description": known.summary, **known.type.schema()}
            properties[known.key] = described
        data: dict[str, Any] = {
            "type": "object",
            "properties": properties,
            "additionalProperties": False,
        }
        required = [known.key for known in self.fields if known.required]
        if required:
            data["required"] = required
        return data


def json_schema(table: Record, title: str, identifier: str) -> dict[str, Any]:
    """Return the JSON Schema, draft-07, of a whole file.

    It admits every file the loader takes; what no schema can say (a sum, an overlap) only the
    loader refuses.
    """
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": identifier,
        "title": title,
        **table.schema(),
    }


def rows(table: Record, path: str = "") -> list[tuple[str, Field]]:
    """Return every field with its dotted path, ``[]`` for list items, in the table's order."""
    listed = []
    for known in table.fields:
        at = f"{path}.{known.key}" if path else known.key
        listed.append((at, known))
        inner: Type = known.type
        while isinstance(inner, Items):
            at, inner = f"{at}[]", inner.item
        if isinstance(inner, Record):
            listed += rows(inner, at)
    return listed
