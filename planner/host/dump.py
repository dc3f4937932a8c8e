"""A pasted dump: what ``grep`` prints about ``reserved_regions`` files, taken as it is.

``grep -H . /sys/kernel/iommu_groups/*/reserved_regions``, or ``grep .`` with several files, puts
the file's path before each line; ``type`` files are understood too. Lines without a path
(``grep -h``, ``cat``) speak of all groups together.
"""

from __future__ import annotations

import hashlib
import re
from itertools import pairwise

from planner.findings import Finding
from planner.host.profile import Device, Group, HostProfile
from planner.host.reserved import LineReader, collapse_ids, cut_by_size, groups_party
from planner.region import Loc, Origin

__all__ = ["WHOLE_HOST", "DumpLines", "looks_like_dump", "parse_dump", "sort_ids"]

#: Id of the one group that stands for all when lines name none.
WHOLE_HOST = "all"

_LINE = re.compile(r"(?:(?P<path>\S*?)/)?(?P<file>reserved_regions|type):(?P<text>.*)\Z")
_BARE = re.compile(r"\s*0x[0-9a-fA-F]+\s+0x[0-9a-fA-F]+\s")
_PROMPT = re.compile(r"\s*[$#]\s")


def looks_like_dump(text: str) -> bool:
    """Say whether the first line that says anything is one of a dump."""
    for line in text.splitlines():
        if line.strip() and not _PROMPT.match(line):
            return bool(_LINE.match(line.strip()) or _BARE.match(line))
    return False


def sort_ids(ids: list[str]) -> list[str]:
    """Sort group ids by number, names behind them."""
    return sorted(ids, key=lambda id_: (0, int(id_), id_) if id_.isdecimal() else (1, 0, id_))


def parse_dump(data: bytes, file: str, name: str) -> HostProfile:
    """Read a pasted dump; what is wrong in it becomes findings.

    :param file: how the file is named in findings.
    :param name: the host's name, which a dump does not tell.
    """
    text = data.decode("utf-8", errors="backslashreplace")
    lines = text.split("\n")
    unfinished = lines.pop()
    if unfinished.strip():
        lines.append(unfinished)
    collected = DumpLines()
    for number, raw in enumerate(lines, 1):
        collected.add(raw, Loc(file, number, 1))
    cut_in = collected.last if unfinished.strip() else None
    groups = [collected.group(id_, unfinished=id_ == cut_in) for id_ in collected.ids()]
    findings = [finding for _, found in groups for finding in found]
    findings += collected.gaps()
    return HostProfile(
        name=name,
        kernel="",
        iommu="",
        address_bits=None,
        groups=tuple(group for group, _ in groups),
        findings=tuple(findings),
        sha256=hashlib.sha256(data).hexdigest(),
    )


class DumpLines:
    """The lines of a dump, by group."""

    def __init__(self) -> None:
        """Start with no line."""
        self._lines: dict[str, list[tuple[str, Origin]]] = {}
        self._types: dict[str, str] = {}
        self._devices: dict[str, tuple[Device, ...]] = {}
        #: The group the last line speaks of.
        self.last: str | None = None

    def ids(self) -> list[str]:
        """Return the ids of the groups spoken of, in numeric order."""
        return sort_ids(list({**self._lines, **self._types}))

    def add(self, raw: str, loc: Loc) -> None:
        """Take in one line as it was pasted; blank lines and shell prompts are passed over."""
        line = raw.strip(" \t\r")
        if not line or _PROMPT.match(line):
            return
        match = _LINE.match(line)
        if match is None:
            # Also what is no region at all goes here, to be found malformed.
            self._lines.setdefault(WHOLE_HOST, []).append((line, Origin("pasted dump", loc)))
            self.last = WHOLE_HOST
            return
        id_, source = self._owner(match["path"] or "")
        self.last = id_
        if match["file"] == "type":
            self._types[id_] = match["text"].strip()
        else:
            origin = Origin(f"{source}/reserved_regions", loc)
            self._lines.setdefault(id_, []).append((match["text"], origin))

    def _owner(self, path: str) -> tuple[str, str]:
        """Return the group's id and how to name its folder."""
        head, _, last = path.rpartition("/")
        if last == "iommu_group":
            # A device's own link to its group: the number is not told, the device is.
            device = head.rpartition("/")[2]
            self._devices[device] = (Device(device),)
            return device, path
        return (last, f"kernel/iommu_groups/{last}") if last else (WHOLE_HOST, "")

    def group(self, id_: str, *, unfinished: bool = False) -> tuple[Group, tuple[Finding, ...]]:
        """Read a group's lines.

        :param unfinished: the dump ends within them.
        """
        reader = LineReader((id_,))
        size = 0
        for text, origin in self._lines.get(id_, ()):
            reader.read(text, origin)
            size += len(text) + 1
        cut = cut_by_size(size, pasted=True) if id_ != WHOLE_HOST else ""
        if unfinished:
            cut = "the dump's last line has no end"
        if cut or reader.cut_word:
            reader.truncated(cut or reader.cut_word)
        read = reader.result()
        type_ = self._types.get(id_, "")
        devices = self._devices.get(id_, ())
        return Group(id_, type_, devices, read.regions, read.whole), read.findings

    def gaps(self) -> list[Finding]:
        """Find numbers between the lowest and highest group of which there is no line."""
        numbers = sorted(int(id_) for id_ in self._lines if id_.isdecimal())
        absent = [
            str(number)
            for low, high in pairwise(numbers)
            # A number can be anything in a pasted text; what is far apart is not a gap to list.
            for number in range(low + 1, min(high, low + 1000))
        ]
        if not absent:
            return []
        return [
            Finding(
                "MM315",
                f"the dump has no line of groups {collapse_ids(absent)}, which lie between groups"
                " it has",
                "grep prints nothing for an empty file; if the groups exist, what they reserve is"
                " not known",
                groups_party(absent),
            )
        ]
