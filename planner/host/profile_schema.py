"""The fields of a host profile, version 1: what the loader reads and the JSON Schema describes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from planner.findings import CODES, Severity
from planner.region import Loc
from planner.text.fields import Field, Items, Record, json_schema
from planner.text.source import Scalar
from planner.text.spelling import literal, quoted, spell
from planner.text.values import (
    Address,
    Choice,
    Count,
    Flag,
    Number,
    Run,
    Single,
    Text,
    Version,
)
from planner.units import PAGE_SIZES, parse_page_size

__all__ = ["IOMMU_KINDS", "MOST_GROUPS", "PROFILE", "SCHEMA_ID", "profile_schema"]

#: The `$id` of the schema, and its file beside the layouts, as modelines name it.
SCHEMA_ID = "host-v1.json"

IOMMU_KINDS = ("intel", "amd", "smmuv3", "smmuv2", "virtio", "none")

#: More groups than any kernel has made: what all ``ids`` may expand to.
MOST_GROUPS = 100_000

#: Names that a kernel or a device tree gave are taken as they are.
_NAME = Text(blank=True)
_KERNEL_LINE = re.compile(r"0x[0-9a-fA-F]+ 0x[0-9a-fA-F]+ [a-z-]+\Z")


@dataclass(frozen=True, slots=True)
class _Line(Single):
    """A region as the kernel prints it; what is wrong in it the host's judge says."""

    word: str = "a line of reserved_regions"

    def spell(self, text: str) -> str:
        """Leave what the kernel prints without quotes."""
        return text if _KERNEL_LINE.match(text) else spell(text)

    def schema(self) -> dict[str, Any]:
        """Describe two addresses and a word."""
        return {"type": "string"}


@dataclass(frozen=True, slots=True)
class _Pasted(Single):
    """Lines pasted from the kernel or from ``grep -H``: pairs of text and place."""

    word: str = "pasted lines, below a bar (|)"

    def value(self, node: Scalar, _path: str, run: Run) -> Any:
        """Tell the lines apart; a block's text starts on the line below the bar."""
        first = node.loc.line + (1 if node.end_loc.line > node.loc.line else 0)
        lines = enumerate(node.text.split("\n"), first)
        return [(line, Loc(node.loc.file, number, 1)) for number, line in lines]

    def spell(self, text: str) -> str:
        """Write a block of what has lines."""
        lines = literal(text) if "\n" in text else None
        return "\n".join(lines or [quoted(text)])

    def schema(self) -> dict[str, Any]:
        """Allow any text."""
        return {"type": "string"}


@dataclass(frozen=True, slots=True)
class _Ids(Single):
    """Numbers of groups that are all alike: ``0-23, 30``, as pairs of first and last."""

    word: str = "group numbers and ranges"

    def value(self, node: Scalar, _path: str, run: Run) -> Any:
        """Read ranges without expanding them."""
        ranges: list[tuple[int, int]] = []
        for part in node.text.split(","):
            low, dash, high = (text.strip() for text in part.partition("-"))
            high = high if dash else low
            number = re.compile(r"[0-9]{1,6}\Z")
            if not (number.match(low) and number.match(high)) or int(high) < int(low):
                return run.wrong(
                    "MM110",
                    node,
                    f"'{node.text}' is not a list of group numbers",
                    'write numbers and ranges, such as "0-23, 30"',
                )
            ranges.append((int(low), int(high)))
        return ranges

    def spell(self, text: str) -> str:
        """Quote it: 7 alone is a number to every reader."""
        return quoted(text)

    def schema(self) -> dict[str, Any]:
        """Describe numbers, ranges and commas."""
        pattern = r"^ *[0-9]{1,6}( *- *[0-9]{1,6})? *(, *[0-9]{1,6}( *- *[0-9]{1,6})? *)*$"
        return {"anyOf": [{"type": "string", "pattern": pattern}, {"type": "integer"}]}


@dataclass(frozen=True, slots=True)
class _PageSize(Number):
    """The page size of a host's kernel, in bytes."""

    word: str = "a page size"

    @staticmethod
    def parse(text: str) -> int:
        """Read a size that a kernel can have."""
        return parse_page_size(text)

    def schema(self) -> dict[str, Any]:
        """Allow an integer or its spelling."""
        return {"anyOf": [{"enum": list(PAGE_SIZES)}, {"type": "string"}]}


_FLAG = Flag()
_REGIONS = Field("regions", Items(_Line(), spread=True), "reserved regions, as the kernel prints")
_RESERVED = Field("reserved", _Pasted(), "reserved regions, pasted with or without their paths")
_BITS = Field("address-bits", Count(1, 64), "width of the IOMMU's addresses", example="48")

_HOST = Record(
    "host",
    (
        Field("name", _NAME, "the host's name", default="the file's", example="workstation"),
        Field("kernel", _NAME, "release of its kernel", example='"6.1.0-18-amd64"'),
        Field("iommu", Choice(IOMMU_KINDS), "kind of IOMMU", example="amd"),
        _BITS,
        Field("page-size", _PageSize(), "page size of its kernel", example="4KiB"),
        Field("doorbells", Count(0, 1 << 20), "number of MSI doorbells", example="1"),
        Field("isolated-msi", _FLAG, "whether the host isolates interrupts", example="true"),
        Field("source", Text(max_chars=2000, blank=True), "where the facts are from"),
        Field("derived", _FLAG, "whether they were worked out, not read", example="true"),
    ),
    spread=True,
)

_DEVICE = Record(
    "device",
    (
        Field("name", _NAME, "PCI address or platform device name", required=True),
        Field("vendor", _NAME, "PCI vendor", example='"0x10de"'),
        Field("device", _NAME, "PCI device", example='"0x2204"'),
        Field("class", _NAME, "PCI class code", example='"0x030000"'),
        Field("driver", _NAME, "driver it is bound to", example="vfio-pci"),
    ),
    short="name",
)

_GROUP = Record(
    "group",
    (
        Field("id", _NAME, "its number", example='"28"'),
        Field("ids", _Ids(), "the numbers of groups that are all alike", example='"0-23, 30"'),
        Field("type", _NAME, "type of its default domain", example="DMA"),
        _BITS,
        Field("whole", _FLAG, "false where the regions are not all there are", default="true"),
        Field("devices", Items(_DEVICE), "its devices"),
        _REGIONS,
        _RESERVED,
    ),
    spread=True,
)

_WINDOW = Record(
    "bridge-window",
    (
        Field("name", _NAME, "as /proc/iomem names it", example="PCI Bus 0000"),
        Field("base", Address(), "first byte", required=True, example="0x40000000"),
        Field("last", Address(), "last byte, included", required=True, example="0x4fffffff"),
        Field("bus", Address(), "first byte on the bus", default="base"),
    ),
)

_NOTICED = Record(
    "finding",
    (
        Field(
            "code",
            Choice(tuple(code for code in CODES if code[2] == "3")),
            "its code",
            required=True,
        ),
        Field("message", Text(max_chars=10_000, blank=True), "what was found"),
        Field("help", Text(max_chars=10_000, blank=True), "what helps"),
        Field("severity", Choice(tuple(word.value for word in Severity)), "where not the code's"),
        Field("groups", Items(_NAME), "the groups it is about"),
    ),
    spread=True,
)

#: The whole file.
PROFILE = Record(
    "profile",
    (
        Field("schema", Version((1,)), "version of the profile's schema", required=True),
        Field("host", _HOST, "what the host is"),
        _REGIONS,
        _RESERVED,
        Field("groups", Items(_GROUP, spread=True), "its IOMMU groups"),
        Field("bridge-windows", Items(_WINDOW, spread=True), "its PCI host bridges' windows"),
        Field("noticed", Items(_NOTICED, spread=True), "what was found when it was read"),
    ),
)


def profile_schema() -> dict[str, Any]:
    """Return the JSON Schema of a profile, draft-07."""
    return json_schema(PROFILE, "guestmap host profile, version 1", SCHEMA_ID)
