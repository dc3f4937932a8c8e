"""An exhibit as columns of boxes: the guest, each host, and what is usable, side by side."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import groupby

from planner.draw.exhibit import Exhibit
from planner.draw.scene import Box, Clash, Column, Fate, Role, Scene, Style, make_scene
from planner.graph import Interval, overlaps
from planner.judge.forbidden import groups_words, shorten
from planner.region import GuestMap, Kind, Region, Window
from planner.span import Span
from planner.text.harmless import harmless
from planner.units import show_size

__all__ = ["ASKED", "Fates", "clashes_of", "exhibit_columns", "scene_of"]

#: Key of the column of memory as it was asked for, before the plan moved it.
ASKED = "asked"
#: Least number of equal neighbours that become one box.
LEAST_RUN = 3

#: What became of things between two maps, by side (``guest``, ``window``, ``doorbell``, or ``host``
#: and its name), name and place.
Fates = Mapping[tuple[str, str, Span], Fate]

_STYLES = {Kind.RAM: Style.RAM, Kind.ROM: Style.ROM, Kind.NVRAM: Style.ROM, Kind.RAMD: Style.ROM}


def scene_of(exhibit: Exhibit, *, collapse: bool = True) -> Scene:
    """Return the picture of one exhibit.

    :param collapse: draw runs of equal small neighbours as one box.
    """
    columns = exhibit_columns(exhibit, collapse=collapse)
    return make_scene(
        harmless(exhibit.title),
        map(harmless, exhibit.facts),
        columns,
        clashes_of(columns),
        findings=exhibit.findings,
        notes=map(harmless, exhibit.notes),
    )


def exhibit_columns(
    exhibit: Exhibit, prefix: str = "", fates: Fates | None = None, *, collapse: bool = True
) -> list[Column]:
    """Return the columns of an exhibit.

    :param prefix: put before keys, so that two exhibits can stand side by side.
    :param fates: what differs from another exhibit.
    """
    columns: list[Column] = []
    told = fates or {}
    if exhibit.asked:
        memory = [r for r in exhibit.asked.regions if r.kind is Kind.RAM]
        boxes = _numbered(prefix + ASKED, map(_region_box, memory))
        columns.append(Column(prefix + ASKED, "as asked", Role.GUEST, boxes, "memory only"))
    if exhibit.guest:
        title = "as planned" if exhibit.asked else "guest"
        boxes = _numbered(f"{prefix}guest", _guest_boxes(exhibit, exhibit.guest, told, collapse))
        machine = harmless(exhibit.guest.machine)
        columns.append(Column(f"{prefix}guest", title, Role.GUEST, boxes, machine))
    for number, host in enumerate(exhibit.hosts):
        key = f"{prefix}host{number}"
        boxes = _numbered(key, _host_boxes(exhibit, host, told))
        columns.append(Column(key, harmless(host), Role.HOST, boxes, "host forbids"))
    if exhibit.usable is not None:
        boxes = _numbered(f"{prefix}usable", map(_usable_box, exhibit.usable))
        whose = "every host" if len(exhibit.hosts) > 1 else "this host"
        columns.append(Column(f"{prefix}usable", "usable", Role.USABLE, boxes, f"left by {whose}"))
    return columns


def clashes_of(columns: Iterable[Column]) -> list[Clash]:
    """Return where memory of a guest's column meets what a host's column forbids."""
    whose = {box.id: (box, column) for column in columns for box in column.boxes}
    sides = [
        Interval(ident, box.span, column.role)
        for ident, (box, column) in whose.items()
        if (column.role is Role.HOST and box.style is Style.HOLE)
        or (column.role is Role.GUEST and box.must_map)
    ]
    found: list[Clash] = []
    for overlap in overlaps(sides, across=True):
        first, second = overlap.first, overlap.second
        mine, theirs = (first, second) if first.side == Role.GUEST else (second, first)
        (box, column), (hole, host) = whose[mine.name], whose[theirs.name]
        asked = " as asked" if column.key.endswith(ASKED) else ""
        them = f"{hole.name} of {host.title}"
        found.append(Clash(overlap.span, box.name + asked, them, (box.id, hole.id)))
    return found


def _numbered(key: str, boxes: Iterable[Box]) -> tuple[Box, ...]:
    """Give boxes their ids, in address order, and make what they say harmless."""
    listed = sorted(boxes, key=lambda box: (box.span, box.style, box.name, box.kind))
    return tuple(
        replace(
            box,
            id=f"{key}/{number}",
            name=harmless(box.name),
            kind=harmless(box.kind),
            origin=harmless(box.origin),
            facts=tuple(map(harmless, box.facts)),
        )
        for number, box in enumerate(listed)
    )


def _region_box(region: Region, fate: Fate = Fate.SAME) -> Box:
    style = Style.DOORBELL if region.doorbell else _STYLES.get(region.kind, Style.IO)
    facts = ["mapped for DMA"] if region.dma else []
    if region.doorbell:
        facts.append("the machine's own MSI doorbell")
    kind = region.kind.value
    origin = str(region.origin)
    return Box("", plain(region), kind, style, region.span, origin, tuple(facts), fate=fate)


def plain(item: Region | Window) -> str:
    """Return a name without the address that only makes it unique."""
    return item.name.removesuffix(f"@{item.span.start:#x}")


def _guest_boxes(exhibit: Exhibit, guest: GuestMap, fates: Fates, collapse: bool) -> Iterator[Box]:
    for run in _runs(guest.regions, fates) if collapse else [[r] for r in guest.regions]:
        first, last = run[0], run[-1]
        box = _region_box(first, _fate(fates, first))
        if len(run) == 1:
            yield box
            continue
        span = Span(first.span.start, last.span.end)
        members = f"{len(run)} of {show_size(first.span.size)}, {first.name} to {last.name}"
        facts = (*box.facts, members)
        name = _stem(first)
        yield Box("", name, box.kind, box.style, span, box.origin, facts, len(run), fate=box.fate)
    for window in guest.windows:
        yield Box(
            "",
            window.kind.value if window.name == window.kind.value else plain(window),
            f"{window.kind.value.removesuffix('-window')} window",
            Style.WINDOW,
            window.span,
            str(window.origin),
            fate=fates.get(("window", window.kind.value, window.span), Fate.SAME),
        )
    own = {region.span for region in guest.regions if region.doorbell}
    if exhibit.doorbell and exhibit.doorbell not in own:
        facts = (exhibit.doorbell_words,) if exhibit.doorbell_words else ()
        yield Box(
            "",
            "MSI doorbell",
            "chosen by the plan",
            Style.DOORBELL,
            exhibit.doorbell,
            "the plan's choice",
            facts,
            fate=fates.get(("doorbell", "MSI doorbell", exhibit.doorbell), Fate.SAME),
        )


def _fate(fates: Fates, region: Region) -> Fate:
    return fates.get(("guest", region.name, region.span), Fate.SAME)


def _runs(regions: Iterable[Region], fates: Fates) -> list[list[Region]]:
    """Put equal small neighbours together: 32 virtio-mmio transports are one thing to look at."""
    numbers: dict[Region, int] = {}
    number, previous = 0, None
    for region in regions:
        joins = (
            previous is not None
            and previous.kind is region.kind
            and not region.kind.must_map
            and not (previous.doorbell or region.doorbell)
            and _stem(previous) == _stem(region)
            and previous.span.end == region.span.start
            and previous.span.size == region.span.size
            and _fate(fates, previous) is _fate(fates, region)
        )
        number += not joins
        numbers[region] = number
        previous = region
    runs: list[list[Region]] = []
    for _, members in groupby(numbers, numbers.__getitem__):
        run = list(members)
        runs += [run] if len(run) >= LEAST_RUN else [[region] for region in run]
    return runs


def _stem(region: Region) -> str:
    """Return what equal neighbours have in common: the name without address and number."""
    name = plain(region)
    return re.sub(r"(\[\d+\]|[-._]?\d+)$", "", name) or name


def _host_boxes(exhibit: Exhibit, host: str, fates: Fates) -> Iterator[Box]:
    for entry in exhibit.forbidden:
        if entry.host != host:
            continue
        facts = [groups_words(entry.groups)] if entry.groups else []
        if entry.devices:
            facts.append(shorten(entry.devices, 8))
        yield Box(
            "",
            entry.title,
            f"{entry.span.start.bit_length() - 1} address bits" if entry.beyond else "forbidden",
            Style.HOLE,
            entry.span,
            str(entry.origin),
            tuple(facts),
            fate=fates.get((f"host {host}", entry.type, entry.span), Fate.SAME),
            beyond=entry.beyond,
        )
    for advice in exhibit.advice:
        if advice.host == host:
            whose = (groups_words(advice.groups),) if advice.groups else ()
            yield Box(
                "",
                advice.name,
                advice.kind,
                Style.ADVICE,
                advice.span,
                advice.origin,
                whose,
                fate=fates.get((f"host {host}", advice.name, advice.span), Fate.SAME),
            )


def _usable_box(span: Span) -> Box:
    return Box("", "usable", "forbidden by no host", Style.USABLE, span)
