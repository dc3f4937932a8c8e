"""What a file may say: one table of fields that loads it, describes it and makes its JSON Schema.

A table is a :class:`Record` of :class:`Field`; each field has a type from
:mod:`planner.text.values`. Everything wrong with a file is collected (MM106 to MM113), nothing
raises.

>>> from planner.text.collect import Collector
>>> from planner.text.values import Address, Choice, Count, Text, Version
>>> from planner.text.source import read
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

from dataclasses import dataclass
from typing import Any

from planner.findings import About
from planner.region import Loc
from planner.text.collect import Collector
from planner.text.source import DEFAULT_LIMITS, Limits, Mapping, Node, Scalar, Sequence, read
from planner.text.values import WRONG, Run, Text, Type
from planner.text.words import listed, nearest, shown

__all__ = [
    "Field",
    "Items",
    "Loaded",
    "Record",
    "Words",
    "json_schema",
    "load",
    "open_file",
    "rows",
]


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


def open_file(
    table: Record, data: bytes, file: str, limits: Limits = DEFAULT_LIMITS
) -> tuple[Loaded | None, Collector]:
    """Read a file's text, and its shape by a table.

    :param file: the name to show.
    :return: None where there is nothing to read a meaning from, and what was found.
    """
    root, findings = read(data, file, limits)
    found = Collector(file)
    for finding in findings:
        found.add(finding)
    if root is None:
        return None, found
    loaded = load(table, root, found)
    unknown_version = [finding for finding in found.findings() if finding.about is About.SCHEMA]
    if not unknown_version:
        return loaded, found
    # Judging a file by another version's fields would bury the one thing to know.
    found = Collector(file)
    for finding in (*findings, *unknown_version):
        found.add(finding)
    return None, found


def load(table: Record, root: Node | None, found: Collector) -> Loaded:
    """Read a tree by a table; what is wrong goes to *found*."""
    run = Run(found)
    if root is None:
        return Loaded({}, run.locs)
    values = table.read(root, "", run)
    return Loaded({} if values is WRONG else values, run.locs)


@dataclass(frozen=True, slots=True)
class Words:
    """A mapping of free keys to text, as options of another program."""

    word: str = "a mapping of names to text"

    def read(self, node: Node, path: str, run: Run) -> Any:
        """Return a dict of text."""
        if not isinstance(node, Mapping):
            return run.wrong_shape(node, path, "a mapping")
        run.locs[path] = node.loc
        values: dict[str, str] = {}
        for key, value in node.items:
            run.locs[f"{path}.{key.text}"] = key.loc
            got = Text().read(value, f"{path}.{key.text}", run)
            if got is not WRONG:
                values[key.text] = got
        return values

    def schema(self) -> dict[str, Any]:
        """Allow any key."""
        return {"type": "object", "additionalProperties": Text().schema()}


@dataclass(frozen=True, slots=True)
class Items:
    """A list of values of one type."""

    item: Type
    #: Whether each item is written on a line of its own, however short.
    spread: bool = False

    @property
    def word(self) -> str:
        """What it is a list of."""
        return f"a list; each item is {self.item.word}"

    def read(self, node: Node, path: str, run: Run) -> Any:
        """Return a list without the wrong items."""
        if isinstance(node, Scalar) and node.empty:
            return WRONG
        if not isinstance(node, Sequence):
            return run.wrong_shape(node, path, "a list")
        values: list[Any] = []
        for index, item in enumerate(node.items):
            at = f"{path}.{index}"
            run.locs[at] = item.loc
            got = self.item.read(item, at, run)
            # Paths stay those of the values: a wrong mapping is an empty one, other items shift.
            if got is WRONG and isinstance(self.item, Record):
                got = {}
            if got is not WRONG:
                run.locs[f"{path}.{len(values)}"] = item.loc
                values.append(got)
        return values

    def schema(self) -> dict[str, Any]:
        """Describe the items."""
        return {"type": "array", "items": self.item.schema()}


@dataclass(frozen=True, slots=True)
class Record:
    """A mapping with known keys."""

    #: What it describes: ``region``, ``machine``.
    name: str
    fields: tuple[Field, ...]
    #: The key that a value alone stands for, if one may.
    short: str = ""
    #: Whether each key is written on a line of its own, however short.
    spread: bool = False

    @property
    def word(self) -> str:
        """What it is."""
        alone = f"its {self.short} alone, or " if self.short else ""
        return f"{alone}a mapping ({self.name})"

    @property
    def key_types(self) -> dict[str, Type]:
        """The type of each key's value, in the order of the table."""
        return {known.key: known.type for known in self.fields}

    def read(self, node: Node, path: str, run: Run) -> Any:
        """Return a dict of the values; a mapping that lacks a key is returned all the same."""
        if isinstance(node, Scalar) and node.empty:
            return WRONG
        if self.short and isinstance(node, Scalar):
            run.locs[path] = node.loc
            got = self.key_types[self.short].read(node, path, run)
            return {self.short: got} if got is not WRONG else {}
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
            if got is not WRONG:
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
        self, key: Scalar, value: Node, known: dict[str, Field], path: str, run: Run
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
            help=(f"write '{near}'; " if near else "") + f"known are {listed(known)}",
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
        return {"anyOf": [self.key_types[self.short].schema(), data]} if self.short else data


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
