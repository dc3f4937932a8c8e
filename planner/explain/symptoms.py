"""What QEMU, libvirt and the kernel say when a device cannot be assigned, told apart.

The same ``-22`` means a forbidden range, an address the IOMMU cannot reach, or no fault of the map
at all; the same ``Operation not permitted`` means interrupts or firmware. Each row says which, from
what else the text says and, with a host at hand, from the addresses themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from planner.explain.rows import ROWS, WORDS, Row
from planner.host.profile import HostProfile, Scope
from planner.judge.forbidden import Forbidden, bind
from planner.span import ADDRESS_LIMIT, Span
from planner.text.pci import find_pci
from planner.units import show_size

__all__ = ["Symptom", "recognise"]

#: Longest line looked at; QEMU's and the kernel's are below 400 characters.
_MAX_LINE = 2000
#: The same message often comes once for each device and boot.
_MAX_SYMPTOMS = 50
#: What another line may say that decides between rows.
_DECIDING = {word for row in ROWS for word in row.only_with}


@dataclass(frozen=True, slots=True)
class Symptom:
    """One message that was recognised."""

    line: int
    text: str
    row: Row
    #: The guest range the message names, if any.
    span: Span | None
    devices: tuple[str, ...]
    #: What the hosts at hand say about the range and the devices.
    verdicts: tuple[str, ...] = ()


def recognise(text: str | Iterable[str], hosts: Iterable[HostProfile] = ()) -> list[Symptom]:
    """Find the known messages in a log; equal ones (same words, same range) once.

    :param text: the log, or its pieces in order, cut anywhere; no more than one is kept.
    :param hosts: profiles to check addresses and devices against.
    """
    said: set[str] = set()
    found: dict[tuple[str, Span | None, tuple[str, ...]], _Message] = {}
    for first, block in _whole_lines([text] if isinstance(text, str) else text):
        lowered = block.lower()
        said |= {word for word in _DECIDING if word in lowered}
        if not any(word in lowered for word in WORDS):
            continue
        for number, line in enumerate(block.split("\n"), first):
            message = _message(number, line[:_MAX_LINE])
            if message and (message.key in found or len(found) < _MAX_SYMPTOMS):
                found.setdefault(message.key, message)
    listed = tuple(hosts)
    symptoms: dict[tuple[str, Span | None, tuple[str, ...]], Symptom] = {}
    for message in found.values():
        row, span = message.decide(said)
        if row:
            verdicts = tuple(_verdicts(row, span, message.devices, listed))
            symptom = Symptom(message.line, message.text, row, span, message.devices, verdicts)
            symptoms.setdefault((row.id, span, message.devices), symptom)
    return list(symptoms.values())


def _whole_lines(pieces: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Cut at the ends of lines: the number of a block's first line, and the block without its end.

    Of a line that does not end only what is looked at is kept.
    """
    number, rest = 1, ""
    for piece in pieces:
        block, end, tail = piece.rpartition("\n")
        if end:
            yield number, rest + block
            number += block.count("\n") + 1
            rest = tail[:_MAX_LINE]
        else:
            rest = (rest + tail)[:_MAX_LINE]
    yield number, rest


@dataclass(frozen=True, slots=True)
class _Message:
    """A line with a known message; which one may hang on what the rest of the log says."""

    line: int
    text: str
    #: From special to general: the first that fits the whole log is the answer.
    matches: tuple[tuple[Row, Span | None], ...]
    devices: tuple[str, ...]

    @property
    def key(self) -> tuple[str, Span | None, tuple[str, ...]]:
        """What makes two messages equal."""
        row, span = self.matches[0]
        return row.id, span, self.devices

    def decide(self, said: set[str]) -> tuple[Row, Span | None] | tuple[None, None]:
        """Choose the row, when all of the log has been read."""
        for row, span in self.matches:
            if not row.only_with or said & set(row.only_with):
                return row, span
        return None, None


def _message(number: int, line: str) -> _Message | None:
    lowered = line.lower()
    if not any(word in lowered for word in WORDS):
        return None
    matches: list[tuple[Row, Span | None]] = []
    for row in ROWS:
        match = row.pattern.search(line)
        if match:
            matches.append((row, _span(match)))
            if not row.only_with:
                break
    if not matches:
        return None
    devices = tuple(dict.fromkeys(find_pci(line)))
    return _Message(number, line.strip(), tuple(matches), devices)


def _span(match: re.Match[str]) -> Span | None:
    groups = match.groupdict()
    if groups.get("base") is None:
        return None
    base = int(groups["base"], 16)
    if groups.get("last") is not None:
        end = int(groups["last"], 16) + 1
    else:
        end = base + int(groups.get("size") or "1", 16)
    return Span(base, end) if base < end <= ADDRESS_LIMIT else None


def _verdicts(
    row: Row, span: Span | None, devices: Sequence[str], hosts: Sequence[HostProfile]
) -> Iterator[str]:
    for host in hosts:
        if span is not None and row.mapped:
            yield from _of_range(span, host)
        for device in devices:
            yield from _of_device(device, host)


def _of_range(span: Span, host: HostProfile) -> Iterator[str]:
    """Say whether a host forbids part of a range: then the map is to blame, else it is not."""
    every = [device.name for group in host.groups for device in group.devices]
    entries = [e for e in bind([host], Scope.HOST, every).forbidden if e.span.overlaps(span)]
    if not entries:
        known = "" if host.address_bits is not None else " (whose address width is not known)"
        yield f"{host.name}{known} forbids nothing in [{span}]: the map is not to blame there"
    for entry in entries:
        yield f"[{span}] {entry.met()}: {_shared(entry, span)}"


def _shared(entry: Forbidden, span: Span) -> str:
    shared = entry.span.intersection(span)
    return f"{show_size(shared.size)} at [{shared}]" if shared else ""


def _of_device(device: str, host: HostProfile) -> Iterator[str]:
    group = host.group_of(device)
    if group is None:
        return
    direct = ", ".join(f"[{region.span}]" for region in group.direct)
    if direct and host.refuses(group):
        yield (
            f"{device} on {host.name}: group {group.id} has direct {direct}; the kernel refuses"
            " to assign it, and no map helps"
        )
    elif host.isolated_msi is False:
        yield f"{device} on {host.name}: the host does not isolate interrupts"
