"""What a layout's values mean together: the checks that need the layout and nothing else.

Codes MM201 to MM207, MM111 and MM112. A value that was wrong in itself has been reported and is
absent, so every check looks only at what is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from planner.findings import CODES, Severity
from planner.graph import Interval, overlaps
from planner.guest.presets import arches, find_preset, spelled
from planner.machine.family import family, find_family
from planner.region import Kind, Loc, Origin, Region, Window, WindowKind
from planner.span import ADDRESS_LIMIT, GIB, MIB, Span
from planner.text.collect import Collector
from planner.text.fields import Loaded
from planner.text.words import nearest
from planner.units import show_size, show_span

__all__ = ["Board", "check", "target"]

_KIND = {
    "rom": Kind.ROM,
    "romd": Kind.ROMD,
    "nvram": Kind.NVRAM,
    "mmio": Kind.IO,
    "io": Kind.IO,
    "doorbell": Kind.IO,
}


@dataclass(slots=True)
class Board:
    """The regions and windows of a custom machine."""

    regions: list[Region] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    #: Where each name stands.
    places: dict[str, Loc] = field(default_factory=dict)


def check(loaded: Loaded, found: Collector) -> Board:
    """Report what contradicts itself in a layout; return its board."""
    machine = loaded.values.get("machine", {})
    _machine(machine, loaded, found)
    _memory(loaded.values.get("memory", {}), loaded, found)
    _guest(loaded.values.get("guest", {}).get("preset"), machine.get("type"), loaded, found)
    _doorbell(loaded.values.get("doorbell", {}), loaded, found)
    _devices(loaded, found)
    _silencers(loaded, found)
    return _board(machine, loaded, found)


def _machine(machine: dict[str, Any], loaded: Loaded, found: Collector) -> None:
    family = find_family(machine.get("type", ""))
    if family is None:
        return
    if family.drawn:
        for key in ("version", "cpu", "options"):
            if machine.get(key):
                found.report(
                    "MM204",
                    loaded.locs[f"machine.{key}"],
                    f"a custom machine has no '{key}': the layout describes it, not QEMU",
                    help=f"remove '{key}', or name a machine type of QEMU",
                )
        return
    known = {*family.options, *family.globals}
    for name in machine.get("options", {}):
        # Any driver.property may stand, as -global takes any; the tables refuse what they do not
        # know the meaning of.
        if "." in name or name in known:
            continue
        near = nearest(name, known)
        found.report(
            "MM111",
            loaded.locs[f"machine.options.{name}"],
            f"machine type {family.name} has no option '{name[:60]}'",
            help=f"write '{near}'" if near else f"known are {', '.join(sorted(known))}",
        )


def _memory(memory: dict[str, Any], loaded: Loaded, found: Collector) -> None:
    size: int | None = memory.get("size")
    if size is None:
        return
    at = loaded.locs["memory.size"]
    if size < MIB:
        found.report(
            "MM205",
            at,
            f"the memory size is {show_size(size)}; no machine boots with less than 1 MiB",
            help=f"a number without unit is bytes; write {size}MiB if MiB are meant"
            if size
            else "write a size, as in 4GiB",
        )
        return
    top, least = memory.get("max"), memory.get("boot-min")
    sized = (at, f"the size is {show_size(size)}")
    if top is not None and top < size:
        found.report(
            "MM205",
            loaded.locs["memory.max"],
            f"'max' is {show_size(top)}, less than the size of {show_size(size)}",
            help="raise max, or leave it out",
            also=(sized,),
        )
    if least is not None and least > size:
        found.report(
            "MM205",
            loaded.locs["memory.boot-min"],
            f"'boot-min' is {show_size(least)}, more than the size of {show_size(size)}",
            help="lower boot-min, or raise size",
            also=(sized,),
        )
    block = memory.get("block")
    if block is not None and (block < MIB or block & (block - 1)):
        found.report(
            "MM205",
            loaded.locs["memory.block"],
            f"the memory block is {show_size(block)}, which is no power of two from 1 MiB up",
            help="Linux on Arm takes 128MiB (512MiB with 64 KiB pages), on x86 128MiB to 2GiB",
        )
    if memory.get("slots") == 0 and top is not None and top > size:
        found.report(
            "MM205",
            loaded.locs["memory.slots"],
            f"there are no slots for the {show_size(top - size)} between size and max",
            help="give slots, or leave the key out and let the plan count them",
            also=((loaded.locs["memory.max"], f"the ceiling is {show_size(top)}"),),
        )


def target(machine_type: str) -> str:
    """Return the architecture of a machine type, as QEMU names it; empty for a drawn board."""
    return next(iter(family(machine_type).targets), "")


def _guest(preset: str | None, kind: str | None, loaded: Loaded, found: Collector) -> None:
    """Report a preset that is not for the machine's architecture, or for several."""
    if preset is None or kind is None or find_preset(preset, target(kind)):
        return
    kernels = ", ".join(arches(preset))
    found.report(
        "MM111",
        loaded.locs.get("guest.preset", loaded.locs["guest"]),
        f"machine type {kind} does not tell which kernel '{preset}' is: there is one for {kernels}",
        help=f"name one with its architecture, as in {spelled(preset)[0]}"
        if not target(kind)
        else "name another, or say acpi-hotplug, virtio-mem and onlines in its place",
    )


def _doorbell(doorbell: dict[str, Any], loaded: Loaded, found: Collector) -> None:
    size: int | None = doorbell.get("size")
    if size is not None and (size < MIB or size % MIB):
        found.report(
            "MM207",
            loaded.locs["doorbell.size"],
            f"the doorbell's window is {show_size(size)}, which is no whole number of MiB",
            help="write 1MiB, or leave it out and let the plan ask the hosts",
        )
        size = None
    if "pin" in doorbell and doorbell.get("prefer") not in (None, doorbell["pin"]):
        found.report(
            "MM207",
            loaded.locs["doorbell.pin"],
            "the doorbell is pinned to one place and preferred at another",
            help="keep 'pin' or 'prefer'",
            also=((loaded.locs["doorbell.prefer"], "preferred here"),),
        )
    for key in ("prefer", "pin"):
        base: int | None = doorbell.get(key)
        if base is None:
            continue
        at = loaded.locs[f"doorbell.{key}"]
        if base % MIB:
            below = base // MIB * MIB
            found.report(
                "MM207",
                at,
                f"the doorbell's address {base:#x} is not on a 1 MiB boundary",
                help=f"write {below:#x} or {below + MIB:#x}",
            )
        elif base + (size or MIB) > ADDRESS_LIMIT:
            found.report(
                "MM207",
                at,
                f"the doorbell's window of {show_size(size or MIB)} at {base:#x} leaves the"
                " 64-bit address space",
                help="choose a lower address",
            )


def _devices(loaded: Loaded, found: Collector) -> None:
    """Report a device that is named twice, in either list."""
    first: dict[str, Loc] = {}
    for path, name in _named_devices(loaded.values):
        at = loaded.locs.get(path)
        if at is None:
            continue
        if name in first:
            found.report(
                "MM112",
                at,
                f"the device {name} is named twice",
                help="keep it under 'devices' (assigned at launch) or 'hotplug' (plugged later)",
                also=((first[name], "named here first"),),
            )
        else:
            first[name] = at


def _named_devices(values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for index, entry in enumerate(values.get("devices", ())):
        if "host" in entry:
            yield f"devices.{index}.host", entry["host"]
    for index, name in enumerate(values.get("hotplug", {}).get("devices", ())):
        yield f"hotplug.devices.{index}", name


def _silencers(loaded: Loaded, found: Collector) -> None:
    for index, entry in enumerate(loaded.values.get("silence", ())):
        code = entry.get("code")
        at = loaded.locs.get(f"silence.{index}.code")
        if code is None or at is None:
            continue
        if code not in CODES:
            near = nearest(code, CODES)
            found.report(
                "MM111",
                at,
                f"there is no finding '{code}'",
                help=f"the nearest is '{near}'" if near else "see 'guestmap explain'",
            )
        elif CODES[code].severity is Severity.ERROR:
            found.report(
                "MM111",
                at,
                f"{code} ({CODES[code].name}) is an error, which cannot be silenced",
                help="mend its cause; warnings and notes can be silenced",
            )


def _board(machine: dict[str, Any], loaded: Loaded, found: Collector) -> Board:
    board = Board()
    entries: list[dict[str, Any]] = loaded.values.get("regions", [])
    family = find_family(machine.get("type", ""))
    if family and not family.drawn:
        if entries:
            found.report(
                "MM204",
                loaded.locs["regions"],
                f"'regions' describe a custom machine; the regions of {family.name} are QEMU's own",
                help="remove them, or set the machine's type to custom",
            )
        return board
    bits: int | None = machine.get("address-bits")
    for index, entry in enumerate(entries):
        _entry(entry, f"regions.{index}", bits, board, loaded, found)
    _overlaps(board, found)
    # An entry without a kind had a wrong one: it may have been meant as the window.
    if family and not any(entry.get("kind", "ram") == "ram" for entry in entries):
        found.report(
            "MM206",
            loaded.locs.get("regions", loaded.locs.get("machine.type", Loc(found.file, 1, 1))),
            "a custom machine names no window for RAM",
            help="add a region of kind ram: where RAM may be placed, lowest first",
        )
    return board


def _entry(  # noqa: PLR0917  # one entry's surroundings
    entry: dict[str, Any],
    path: str,
    bits: int | None,
    board: Board,
    loaded: Loaded,
    found: Collector,
) -> None:
    """Turn one entry of ``regions`` into a region or window of the board."""
    if not {"name", "kind", "base", "size"} <= entry.keys():
        return
    name, kind, base, size = (entry[key] for key in ("name", "kind", "base", "size"))
    limit = ADDRESS_LIMIT if bits is None else 1 << bits
    at = loaded.locs.get(f"{path}.base")
    if at is None:
        return
    if size == 0 or base + size > limit:
        space = f"{bits} address bits" if bits is not None else "the 64-bit address space"
        found.report(
            "MM201",
            at,
            f"'{name}' has no bytes"
            if size == 0
            else f"'{name}' of {show_size(size)} at {base:#x} leaves {space}",
            help="give it a size"
            if size == 0
            else f"its last byte would be {base + size - 1:#x}; the last there is {limit - 1:#x}",
        )
        return
    named = loaded.locs.get(f"{path}.name", at)
    if name in board.places:
        found.report(
            "MM201",
            named,
            f"two regions are named '{name}'",
            help="give each its own name",
            also=((board.places[name], "the first"),),
        )
        return
    board.places[name] = named
    span, origin = Span.sized(base, size), Origin(f"layout {path}", at)
    if kind == "ram":
        board.windows.append(Window(span, name, WindowKind.RAM_WINDOW, origin))
    elif kind == "pci-window":
        low = span.end <= 4 * GIB
        window = WindowKind.PCI_MMIO32 if low else WindowKind.PCI_MMIO64
        board.windows.append(Window(span, name, window, origin))
    else:
        board.regions.append(Region(span, name, _KIND[kind], origin, doorbell=kind == "doorbell"))


def _overlaps(board: Board, found: Collector) -> None:
    listed: list[Region | Window] = [*board.regions, *board.windows]
    everything = {entry.name: entry for entry in listed}
    for overlap in overlaps(Interval(name, entry.span) for name, entry in everything.items()):
        if found.full:
            found.report("MM203", Loc(found.file, 1, 1), "")
            break
        pair = [everything[overlap.first.name], everything[overlap.second.name]]
        # The one written later is to blame: the earlier was there when it came.
        first, second = sorted(pair, key=lambda entry: _place(entry, found))
        found.report(
            "MM203",
            _place(second, found),
            f"'{second.name}' overlaps '{first.name}' by {show_size(overlap.span.size)}"
            f" {show_span(overlap.span)}",
            help=f"place '{second.name}' at {first.span.end:#x} or above"
            if first.span.start <= second.span.start
            else f"end '{second.name}' at {first.span.start - 1:#x} or below",
            also=(
                (_place(first, found), f"'{first.name}' is {show_span(first.span)}"),
                (_place(second, found), f"'{second.name}' is {show_span(second.span)}"),
            ),
        )


def _place(entry: Region | Window, found: Collector) -> Loc:
    return entry.origin.loc or Loc(found.file, 1, 1)
