r"""The text of ``reserved_regions`` files: one region a line, as the kernel prints it.

The kernel prints ``0x%016llx 0x%016llx %s\n`` with an inclusive end
(``iommu_group_show_resv_regions()`` in drivers/iommu/iommu.c, 7.2), swallows its own errors, and
cuts the text at one page less a byte. So the text alone is never proof that nothing more is
reserved: every way it can be less than the truth is a finding of its own, and what is not the whole
truth says so (``whole``).

What is read is brought into the kernel's merged form. Kernels up to 5.3 merged only overlapping
regions, later ones also neighbours (``iommu_insert_resv_region()``); both come out the same here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from planner.findings import Finding, Party, Severity
from planner.host.profile import HostRegion, ReservedType
from planner.region import Origin
from planner.span import ADDRESS_LIMIT, Span
from planner.units import PAGE_SIZES

__all__ = [
    "LineReader",
    "Reserved",
    "collapse_ids",
    "cut_by_size",
    "groups_party",
    "groups_words",
    "merge",
    "parse_reserved",
]

#: Order of ``enum iommu_resv_type`` (include/linux/iommu.h); unknown words come last.
_RANK = {
    str(ReservedType.DIRECT): 0,
    str(ReservedType.DIRECT_RELAXABLE): 1,
    str(ReservedType.RESERVED): 2,
    str(ReservedType.MSI): 3,
}

_TEXT = {word.encode(): word for word in _RANK}

_LINE = re.compile(r"(0x[0-9a-f]{1,16})[ \t]+(0x[0-9a-f]{1,16})[ \t]+(\S+)\Z", re.IGNORECASE)

#: Just what the kernel prints, in bytes: most texts are nothing but such lines.
_KERNEL_LINES = re.compile(
    rb"0x([0-9a-f]{16}) 0x([0-9a-f]{16}) (direct|direct-relaxable|reserved|msi)\n"
)

#: More findings about one text than this say nothing new.
_MOST_FINDINGS = 20


@dataclass(frozen=True, slots=True)
class Reserved:
    """What one ``reserved_regions`` text says."""

    #: Sorted by (start, type), merged by the kernel's rule.
    regions: tuple[HostRegion, ...]
    findings: tuple[Finding, ...]
    #: False when the text is not the whole truth.
    whole: bool


def merge(regions: Iterable[HostRegion]) -> tuple[HostRegion, ...]:
    """Bring regions into the kernel's form: one type merges when it overlaps or touches.

    Types never merge with each other and may overlap. A merged region keeps the origin of its
    lowest part. Where the kernel's own sum wraps (two regions that both end at 2**64 - 1) it prints
    both; here they are one, which is the same set of bytes.
    """
    ordered = sorted(regions, key=_order)
    last: dict[str, int] = {}
    merged: list[HostRegion] = []
    for region in ordered:
        at = last.get(region.type)
        if at is not None and region.span.start <= merged[at].span.end:
            before = merged[at]
            if region.span.end > before.span.end:
                span = Span(before.span.start, region.span.end)
                merged[at] = HostRegion(span, region.type, before.origin)
        else:
            last[region.type] = len(merged)
            merged.append(region)
    return tuple(merged)


def _order(region: HostRegion) -> tuple[int, int, str]:
    return (region.span.start, _RANK.get(region.type, 4), region.type)


def parse_reserved(
    data: bytes,
    source: str = "reserved_regions",
    groups: Sequence[str] = (),
    *,
    pasted: bool = False,
) -> Reserved:
    """Read the bytes of one ``reserved_regions`` file.

    Nothing in the bytes raises: what is wrong with them becomes findings.

    :param source: how origins name the file, such as ``kernel/iommu_groups/28/reserved_regions``.
    :param groups: the groups whose file has these bytes.
    :param pasted: the text came through ``grep``, which ends every line, also one the kernel cut.
    """
    cut = cut_by_size(len(data), pasted=pasted)
    regions = None if cut else _plain_lines(data, source)
    if regions is not None:
        return Reserved(regions, (), whole=True)
    reader = LineReader(groups)
    text = data.decode("ascii", errors="backslashreplace")
    lines = text.split("\n")
    unfinished = lines.pop()
    if not text.strip():
        return Reserved((), (reader.empty(),), whole=False)
    if unfinished:
        cut = f"its last line has no end: '{_short(unfinished)}'"
        lines.append(unfinished)
    for number, line in enumerate(lines, 1):
        reader.read(line, Origin(f"{source} line {number}"))
    if cut or reader.cut_word:
        reader.truncated(cut or reader.cut_word)
    return reader.result()


def _plain_lines(data: bytes, source: str) -> tuple[HostRegion, ...] | None:
    """Read a text in which nothing is out of the ordinary; None leaves it to the line reader.

    A host has thousands of lines, and hardly ever one that needs more than this.
    """
    found = _KERNEL_LINES.findall(data)
    # All but the word are 39 bytes: nothing may stand between the lines or behind them.
    if not found or sum(len(word) for _, _, word in found) + 39 * len(found) != len(data):
        return None
    regions = []
    apart, before = True, -1
    for number, (low, high, word) in enumerate(found, 1):
        first, end = int(low, 16), int(high, 16) + 1
        if end <= first or (first == 0 and end == ADDRESS_LIMIT):
            return None
        apart = apart and first > before
        before = end
        origin = Origin(f"{source} line {number}")
        regions.append(HostRegion(Span(first, end), _TEXT[word], origin))
    return tuple(regions) if apart else merge(regions)


def cut_by_size(size: int, *, pasted: bool) -> str:
    """Say why a text of *size* bytes must be taken for cut, or return nothing."""
    for page in PAGE_SIZES:
        # grep adds the newline that the cut line lacks, unless the cut fell right behind one.
        if size == page - 1 or (pasted and size == page):
            return (
                f"it is {page - 1} bytes long, which is where the kernel cuts on {page}-byte pages"
            )
    return ""


class LineReader:
    """Collects the lines of one group's text, or of several groups with the same text."""

    def __init__(self, groups: Sequence[str] = ()) -> None:
        """Start with nothing read; *groups* only name the findings."""
        self._groups = tuple(groups)
        self._who = groups_words(self._groups)
        self._regions: list[HostRegion] = []
        self._findings: list[Finding] = []
        self._whole = True
        #: Set when the last line read ends in the beginning of a known word.
        self.cut_word = ""

    def read(self, line: str, origin: Origin) -> None:
        """Read one line; blank ones say nothing and are passed over."""
        self.cut_word = ""
        match = _LINE.match(line)
        if match is None:
            stripped = line.strip()
            if stripped and stripped != line:
                self.read(stripped, origin)
            elif stripped:
                self._malformed(line, origin)
            return
        first, last, word = int(match[1], 16), int(match[2], 16), match[3]
        if word not in _RANK:
            self._unknown(word, first, last, origin)
        if last < first:
            self._backwards(first, last, word, origin)
            return
        if first == 0 and last == ADDRESS_LIMIT - 1:
            self._ambiguous(word, origin)
        self._regions.append(HostRegion(Span(first, last + 1), word, origin))

    def result(self) -> Reserved:
        """Return what was read; a text without a single region is never whole."""
        if not self._regions and not self._findings:
            self._findings.append(self.empty())
        elif not self._regions and self._whole:
            self._note(
                "MM314",
                f"what {self._who} reserves is not known: no line of its text has any bytes",
                "that a text names no range does not mean that nothing is reserved",
            )
        findings = self._findings
        if len(findings) > _MOST_FINDINGS:
            rest = len(findings) - _MOST_FINDINGS
            findings = [
                *findings[:_MOST_FINDINGS],
                self._finding("MM304", f"{rest} more lines of {self._who} are wrong", ""),
            ]
        return Reserved(merge(self._regions), tuple(findings), self._whole and bool(self._regions))

    def empty(self) -> Finding:
        """Make the finding that there is no line at all."""
        return self._finding(
            "MM303",
            f"reserved_regions of {self._who} is empty, which does not mean that nothing is"
            " reserved",
            "the kernel prints nothing for a device without IOMMU operations (vfio no-iommu);"
            " read the file again on the host, as root, and check that an IOMMU is enabled",
        )

    def truncated(self, why: str) -> None:
        """Note that the text is cut."""
        self._whole = False
        self._note(
            "MM301",
            f"reserved_regions of {self._who} was cut: {why}",
            "regions behind the cut are not known, so nothing can be planned for these devices;"
            " copy the file again; where the kernel itself cuts it, take the regions from its log",
        )

    def _malformed(self, line: str, origin: Origin) -> None:
        self._whole = False
        self._note(
            "MM304",
            f"'{_short(line)}' of {self._who} is not two addresses and a word ({origin})",
            "a line looks like '0x00000000fee00000 0x00000000feefffff msi'",
        )

    def _unknown(self, word: str, first: int, last: int, origin: Origin) -> None:
        near = next((known for known in _RANK if known.startswith(word)), "")
        if near:
            self.cut_word = f"its last word is '{word}', the beginning of '{near}'"
        self._note(
            "MM302",
            f"'{_short(word)}' of [{first:#x}-{last:#x}] of {self._who} is a word no"
            f" kernel is known to print ({origin})",
            "the range is taken for forbidden, like 'reserved'",
        )

    def _backwards(self, first: int, last: int, word: str, origin: Origin) -> None:
        if last == first - 1:
            self._note(
                "MM306",
                f"{word} region of {self._who} at {first:#x} has no bytes: its last byte is printed"
                f" as {last:#x} ({origin})",
                "firmware describes a region of length 0; it forbids nothing",
            )
            return
        self._whole = False
        self._note(
            "MM305",
            f"{word} region of {self._who} starts at {first:#x} and ends before it, at {last:#x}"
            f" ({origin})",
            "firmware describes a region that wraps around the end of the address space; what it"
            " means to reserve is not known",
        )

    def _ambiguous(self, word: str, origin: Origin) -> None:
        if word != ReservedType.DIRECT_RELAXABLE:
            self._whole = False
        self._note(
            "MM306",
            f"{word} region of {self._who} from 0x0 to 0xffffffffffffffff is either of no bytes or"
            f" everything; the kernel prints both alike ({origin})",
            "it is taken for everything; look for a region of length 0 in the firmware tables"
            " (IORT RMR, IVRS)",
            Severity.ERROR if word != ReservedType.DIRECT_RELAXABLE else None,
        )

    def _note(self, code: str, message: str, help_: str, level: Severity | None = None) -> None:
        self._findings.append(self._finding(code, message, help_, level))

    def _finding(
        self, code: str, message: str, help_: str, level: Severity | None = None
    ) -> Finding:
        return Finding(code, message, help_, groups_party(self._groups), level=level)


def _short(text: str) -> str:
    shown = text if len(text) <= 60 else text[:57] + "…"
    return shown.encode("ascii", "backslashreplace").decode().replace("\x00", "\\x00")


def collapse_ids(ids: Iterable[str]) -> str:
    """Write group ids shortly: numbers in ascending order, runs of three or more as a range.

    >>> collapse_ids(["4", "1", "2", "3", "9", "10"])
    '1-4, 9, 10'
    """
    listed = list(ids)
    numbers = sorted({int(text) for text in listed if _is_number(text)})
    words = sorted({text for text in listed if not _is_number(text)})
    parts: list[str] = []
    at = 0
    while at < len(numbers):
        to = at
        while to + 1 < len(numbers) and numbers[to + 1] == numbers[to] + 1:
            to += 1
        if to - at >= 2:
            parts.append(f"{numbers[at]}-{numbers[to]}")
        else:
            parts += map(str, numbers[at : to + 1])
        at = to + 1
    return ", ".join(parts + words)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def groups_words(groups: Sequence[str]) -> str:
    """Name groups in a sentence: ``group 28``, ``groups 0-3, 7``, or ``the host`` for none."""
    if not groups:
        return "the host"
    return f"{'group' if len(groups) == 1 else 'groups'} {collapse_ids(groups)}"


def groups_party(groups: Sequence[str]) -> tuple[Party, ...]:
    """Make the one party of a finding about a host's groups; none for the host as a whole."""
    if not groups:
        return ()
    return (Party(groups_words(groups), "iommu-group", groups=tuple(groups)),)
