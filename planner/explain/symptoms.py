"""What QEMU, libvirt and the kernel say when a device cannot be assigned, told apart.

The same ``-22`` means a forbidden range, an address the IOMMU cannot reach, or no fault of the map
at all; the same ``Operation not permitted`` means interrupts or firmware. Each row says which, from
what else the text says and, with a host at hand, from the addresses themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from planner.explain.rows import ROWS, Row
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


def recognise(text: str, hosts: Iterable[HostProfile] = ()) -> list[Symptom]:
    """Find the known messages in a log; equal ones (same words, same range) once.

    :param hosts: profiles to check addresses and devices against.
    """
    listed = tuple(hosts)
    lowered = text.lower()
    found: dict[tuple[str, Span | None, tuple[str, ...]], Symptom] = {}
    for number, line in enumerate(text.splitlines(), 1):
        for row, match in _matches(line[:_MAX_LINE], lowered):
            span = _span(match)
            devices = tuple(dict.fromkeys(find_pci(line[:_MAX_LINE])))
            key = (row.id, span, devices)
            if key not in found and len(found) < _MAX_SYMPTOMS:
                verdicts = tuple(_verdicts(row, span, devices, listed))
                found[key] = Symptom(number, line.strip(), row, span, devices, verdicts)
            break  # rows stand from special to general: the first that fits is the answer
    return list(found.values())


def _matches(line: str, lowered: str) -> Iterator[tuple[Row, re.Match[str]]]:
    for row in ROWS:
        if row.only_with and not any(word in lowered for word in row.only_with):
            continue
        match = row.pattern.search(line)
        if match:
            yield row, match


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
