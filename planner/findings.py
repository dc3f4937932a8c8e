"""Judged facts: codes, findings, reports.

What is wrong with a layout, a host or a map is data, never an exception. A code is never reused
for another meaning; its page is ``docs/findings/CODE.md``. Families: MM1xx text of a layout, MM2xx
meaning of a layout and the guest map, MM3xx facts of a host, MM4xx map against host, MM5xx
placement and doorbell, MM6xx plan against the real QEMU, MM7xx the hotplug guard.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from planner.region import Loc, Origin, Region, Window
from planner.span import Span

__all__ = [
    "CODES",
    "About",
    "Code",
    "Finding",
    "Mend",
    "Party",
    "Severity",
    "read_span",
    "span_json",
    "worst",
]


class Severity(StrEnum):
    """How bad a finding is; only ``error`` makes a command exit with 1."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


_RANK = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}


class About(StrEnum):
    """What a finding speaks of."""

    #: The text of a written file: what its author mends, whatever the guest or the host is like.
    TEXT = "text"
    #: Which version of the schema the text follows.
    SCHEMA = "schema"
    #: How many more findings there are.
    COUNT = "count"
    FACTS = "facts"


class Mend(StrEnum):
    """Which change mends what a finding says."""

    #: Another place for memory.
    PLACE = "place"
    #: Fewer address bits for the guest's CPU, or a smaller PCI window.
    NARROW = "narrow"
    #: Settings of the host's firmware; nothing about the guest helps.
    FIRMWARE = "firmware"


@dataclass(frozen=True, slots=True)
class Code:
    """One row of the table of codes."""

    code: str
    #: Kebab-case, stable like the code.
    name: str
    severity: Severity
    #: What it means in one line, for lists.
    summary: str
    about: About
    #: None where no change that guestmap knows does.
    mended_by: Mend | None = None


CODES: dict[str, Code] = {}


def _codes(
    severity: Severity,
    about: About,
    rows: Mapping[str, tuple[str, str] | tuple[str, str, Mend]],
) -> None:
    for code, (name, summary, *mended_by) in rows.items():
        CODES[code] = Code(code, name, severity, summary, about, *mended_by)


_codes(
    Severity.ERROR,
    About.TEXT,
    {
        "MM101": ("yaml-syntax", "the file is not YAML"),
        "MM102": ("yaml-encoding", "the file is not UTF-8 text YAML can hold"),
        "MM103": (
            "yaml-feature",
            "anchors, aliases, tags, merges, directives or several documents",
        ),
        "MM104": ("too-large", "the file is larger or deeper than a layout may be"),
        "MM105": ("duplicate-key", "a key stands twice in one mapping"),
        "MM106": ("unknown-key", "a key the schema does not know"),
        "MM107": ("missing-key", "a key the schema requires is absent"),
        "MM108": ("wrong-shape", "a mapping, list or value stands where another is expected"),
        "MM109": ("empty-value", "a key has no value"),
        "MM110": ("bad-number", "a value is not an address, size or count"),
        "MM111": ("bad-choice", "a value is not one of the known words"),
        "MM112": ("bad-device", "a value is not a PCI address or device name"),
        "MM301": ("regions-truncated", "a reserved_regions file was cut"),
        "MM303": ("regions-empty", "a reserved_regions file is empty"),
        "MM304": ("regions-malformed", "a reserved_regions line is not two addresses and a word"),
        "MM305": ("region-wrapped", "a region's last byte is before its first"),
    },
)
_codes(
    Severity.ERROR,
    About.SCHEMA,
    {"MM113": ("schema-version", "the file's schema version is not known")},
)
_codes(
    Severity.ERROR,
    About.COUNT,
    {"MM115": ("more-findings", "a file has more findings than are shown")},
)
_codes(
    Severity.WARNING,
    About.TEXT,
    {
        "MM116": ("unused-silencer", "a silencer in the file silences nothing"),
        "MM302": ("unknown-type", "a reserved region has a type word no kernel is known to print"),
        "MM306": ("region-zero-length", "a region of no bytes"),
    },
)
_codes(
    Severity.NOTE,
    About.TEXT,
    {
        "MM114": ("not-page-aligned", "a plain number of bytes is not a whole page"),
    },
)
_codes(
    Severity.ERROR,
    About.FACTS,
    {
        "MM201": ("bad-region", "a region's base and size leave the address space"),
        "MM203": ("region-overlap", "two regions of the guest share bytes"),
        "MM204": ("machine-refused", "the machine cannot be built as asked"),
        "MM205": ("bad-memory", "memory sizes contradict each other"),
        "MM206": ("no-ram-window", "a custom machine names no window for RAM"),
        "MM207": ("bad-doorbell", "the doorbell's address or size is not aligned or not a window"),
        "MM208": ("memory-aliased", "two memory backends are one and the same memory"),
        "MM210": ("boot-too-small", "the guest cannot boot with so little boot memory"),
        "MM213": ("pieces-unusable", "the guest's kernel has no driver for its pieces of memory"),
        "MM307": ("no-iommu", "the host has no IOMMU groups"),
        "MM308": ("unreadable", "a file of the host's facts cannot be read"),
        "MM314": ("regions-unknown", "what a group reserves is not known"),
        "MM310": ("unknown-device", "a device is in no IOMMU group of the host"),
        "MM401": ("ram-in-reserved", "guest memory covers a range the host forbids", Mend.PLACE),
        "MM402": (
            "beyond-aperture",
            "guest memory lies above the IOMMU's address bits",
            Mend.PLACE,
        ),
        "MM403": (
            "device-unassignable",
            "firmware wants a 1:1 region for a device to be assigned",
            Mend.FIRMWARE,
        ),
        "MM413": ("device-unidentified", "which host device is assigned cannot be told"),
        "MM501": ("no-room", "the memory does not fit"),
        "MM502": ("boot-blocked", "boot memory cannot be where the machine puts it"),
        "MM503": ("too-few-slots", "the plan needs more memory slots than there are"),
        "MM505": ("no-doorbell", "no window below 4 GiB is free for the doorbell"),
        "MM506": ("doorbell-pin", "the pinned doorbell cannot be there"),
        "MM601": ("memory-missing", "the real QEMU lacks memory that the plan has"),
        "MM602": ("memory-unplanned", "the real QEMU has memory that the plan has not"),
        "MM604": ("window-differs", "a window of the real QEMU is not where the plan has it"),
        "MM605": ("stale-plan", "an input of the plan has changed since it was made"),
        "MM606": ("other-machine", "the running QEMU is not the plan's machine"),
        "MM607": ("apply-failed", "a step of the plan was refused by QEMU"),
        "MM608": ("doorbell-differs", "QEMU reports another doorbell window than the plan's"),
        "MM610": ("memory-offline", "memory of the plan is offline in the guest"),
        "MM611": ("memory-absent", "memory of the plan does not exist in the guest"),
        "MM612": ("guest-silent", "the guest cannot be asked about its memory"),
        "MM508": ("unaligned-memory", "the size cannot be split on the memory block"),
        "MM701": ("cannot-judge", "what a command would do to the map cannot be told"),
        "MM703": ("not-through-guard", "a command that would go around the guard"),
    },
)
_codes(
    Severity.WARNING,
    About.FACTS,
    {
        "MM209": ("piece-off-block", "a piece of memory is not whole memory blocks of the guest"),
        "MM211": ("node-lost", "a piece of memory is in a NUMA node that the guest does not have"),
        "MM309": ("msi-not-isolated", "interrupts are not remapped or isolated"),
        "MM311": (
            "doorbells-overflow",
            "the host has more doorbell pages than its MSI window holds",
        ),
        "MM317": ("msi-window-unreachable", "the kernel's MSI window lies in a reserved range"),
        "MM312": ("two-msi-kinds", "a group lists both a software and a hardware MSI window"),
        "MM404": ("bar-window-in-reserved", "a PCI window covers a range the host forbids"),
        "MM405": (
            "bar-window-beyond-aperture",
            "a PCI window reaches above the IOMMU's address bits",
            Mend.NARROW,
        ),
        "MM412": (
            "phys-bits-beyond-aperture",
            "the guest CPU has more bits than the IOMMU",
            Mend.NARROW,
        ),
        "MM409": ("many-pieces", "the map takes many DMA mappings"),
        "MM702": ("growth-limited", "a virtio-mem device cannot grow to its full size"),
    },
)
_codes(
    Severity.NOTE,
    About.FACTS,
    {
        "MM212": ("guest-needs", "what the guest needs to use its pieces of memory"),
        "MM315": ("groups-missing", "a pasted dump skips group numbers"),
        "MM316": ("facts-unseen", "facts of the host were not to be seen, such as PCI windows"),
        "MM313": ("address-bits-unknown", "the IOMMU's address width is not known"),
        "MM406": ("bridge-window-aliased", "guest memory has bus addresses of a host PCI window"),
        "MM407": ("group-unassignable", "a group nobody asked for cannot be assigned"),
        "MM408": ("no-low-memory", "little or no memory below 4 GiB for 32-bit DMA"),
        "MM410": (
            "relaxable-covered",
            "guest memory covers a direct-relaxable range, which is allowed",
        ),
        "MM411": ("hotplug-window-holed", "part of the memory hotplug window is forbidden"),
        "MM507": ("doorbell-not-realised", "nothing can move the doorbell to the choice today"),
        "MM603": ("registers-differ", "emulated registers differ, which no DMA reaches"),
        "MM609": ("input-unchecked", "an input of the plan is not here to be compared"),
        "MM509": ("machine-changed", "the plan changes options of the machine"),
        "MM504": ("memory-moved", "memory was split or moved around forbidden ranges"),
    },
)


@dataclass(frozen=True, slots=True, order=True)
class Party:
    """One side of a finding: a region of the guest or of a host, with where it comes from."""

    name: str
    kind: str
    span: Span | None = None
    origin: Origin | None = None
    host: str = ""
    #: IOMMU group ids, empty for the guest's side.
    groups: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()

    @classmethod
    def of(cls, item: Region | Window) -> Party:
        """Return the guest's side: a region or window."""
        return cls(item.name, item.kind.value, item.span, item.origin)

    def to_json(self) -> dict[str, Any]:
        """Return the party as JSON data; absent facts are left out."""
        data: dict[str, Any] = {"name": self.name, "kind": self.kind}
        if self.span:
            data |= span_json(self.span)
        if self.origin:
            data["origin"] = str(self.origin)
        if self.host:
            data["host"] = self.host
        if self.groups:
            data["groups"] = list(self.groups)
        if self.devices:
            data["devices"] = list(self.devices)
        return data


@dataclass(frozen=True, slots=True)
class Finding:
    """One judged fact.

    *message* says what is wrong, *help* what to do; *parties* are the two sides, *overlap* the
    bytes they share. The severity is the code's own unless a rule knows better.
    """

    code: str
    message: str
    help: str = ""
    parties: tuple[Party, ...] = ()
    overlap: Span | None = None
    loc: Loc | None = None
    notes: tuple[str, ...] = ()
    #: Other places in files that the message speaks of, with a label each.
    also: tuple[tuple[Loc, str], ...] = ()
    #: Empty takes the code's own severity.
    level: Severity | None = field(default=None)

    @property
    def severity(self) -> Severity:
        """The finding's severity."""
        return self.level or CODES[self.code].severity

    @property
    def name(self) -> str:
        """The code's kebab-case name."""
        return CODES[self.code].name

    @property
    def about(self) -> About:
        """What it speaks of."""
        return CODES[self.code].about

    @property
    def mended_by(self) -> Mend | None:
        """Which change mends it."""
        return CODES[self.code].mended_by

    def sort_key(self) -> tuple[Any, ...]:
        """Order: files' findings by place, then by severity, code and text."""
        place = (self.loc.file, self.loc.line, self.loc.column) if self.loc else ("", 0, 0)
        return (place, _RANK[self.severity], self.code, self.overlap or Span(0, 1), self.message)

    def urgency(self) -> tuple[Any, ...]:
        """Order: the worst first, then as :meth:`sort_key`."""
        return (_RANK[self.severity], self.sort_key())

    def to_json(self) -> dict[str, Any]:
        """Return the finding as JSON data."""
        data: dict[str, Any] = {
            "code": self.code,
            "name": self.name,
            "severity": self.severity.value,
            "message": self.message,
            "help": self.help,
            "parties": [party.to_json() for party in self.parties],
        }
        if self.overlap:
            data["overlap"] = span_json(self.overlap)
        if self.notes:
            data["notes"] = list(self.notes)
        if self.loc:
            data["file"], data["line"], data["column"] = (
                self.loc.file,
                self.loc.line,
                self.loc.column,
            )
        if self.also:
            data["also"] = [
                {"file": loc.file, "line": loc.line, "column": loc.column, "label": label}
                for loc, label in self.also
            ]
        return data


def span_json(span: Span) -> dict[str, str]:
    """Return a range as every document has it: hex strings, the last byte included."""
    return {"base": f"{span.start:#x}", "last": f"{span.last:#x}", "size": f"{span.size:#x}"}


def read_span(entry: Mapping[str, str]) -> Span:
    """Read back what :func:`span_json` wrote.

    :raise KeyError, TypeError, ValueError: it is something else.
    """
    return Span.inclusive(int(entry["base"], 16), int(entry["last"], 16))


def worst(findings: Iterable[Finding]) -> Severity | None:
    """Return the worst severity present, or None when there are no findings."""
    return min((finding.severity for finding in findings), key=_RANK.__getitem__, default=None)
