"""What the guest's kernel makes of its pieces of memory: lost ones, and boot memory too small."""

from __future__ import annotations

from collections.abc import Iterable

from planner.findings import Finding, Party, Severity
from planner.guest.kernel import (
    BASE,
    KERNEL_MIN,
    ONLINE,
    Guest,
    Onlines,
    boot_spans,
    memory_block,
    piece_regions,
    tables,
)
from planner.machine.device_memory import VIRTIO_MEM
from planner.machine.request import MemoryDevice
from planner.region import GuestMap, Loc, Region
from planner.span import GIB, MIB, Span, SpanSet, align_down, align_up
from planner.units import show_size

__all__ = ["judge_blocks", "judge_boot", "judge_kernel", "judge_pieces", "off_block"]


def judge_kernel(guest: GuestMap, kernel: Guest) -> list[Finding]:
    """Judge a map: blocks, and boot memory."""
    return [*judge_blocks(guest, kernel), *judge_boot(guest)]


def judge_blocks(guest: GuestMap, kernel: Guest) -> list[Finding]:
    """Find pieces that are not whole memory blocks of the guest: it does not take the rest."""
    block = memory_block(guest, kernel.page_bytes)
    return [found for each in piece_regions(guest) for found in off_block(each, block)]


def off_block(piece: Region, block: int) -> list[Finding]:
    """Judge one piece.

    :param block: the guest's memory block, in bytes.
    """
    start, end = align_up(piece.span.start, block), align_down(piece.span.end, block)
    whole = Span(start, end) if start < end else None
    if whole == piece.span:
        return []
    kept = f"only [{whole}] is" if whole else "no part of it is"
    return [
        Finding(
            "MM209",
            f"'{piece.name}' [{piece.span}] of {show_size(piece.span.size)} does not lie on the"
            f" guest's memory blocks of {show_size(block)}: {kept} made of whole ones, and Linux"
            " takes a DIMM whole or not at all",
            help=f"make its size and its address multiples of {show_size(block)}",
            parties=(Party.of(piece),),
        )
    ]


def judge_boot(guest: GuestMap) -> list[Finding]:
    """Judge boot memory against what the guest needs for its pieces."""
    # Some of it lies hidden behind a ROM (x86, below 1 MiB).
    boot = align_up(boot_spans(guest).size, MIB)
    pieces = SpanSet(piece.span for piece in piece_regions(guest)).size
    if not pieces or not boot:
        return []
    least, enough = KERNEL_MIN + tables(pieces), BASE + tables(pieces)
    if boot >= enough:
        return []
    panics = boot < least
    return [
        Finding(
            "MM210",
            f"boot memory is {show_size(boot)}, and the guest's kernel describes"
            f" {show_size(pieces)} of pieces in {show_size(tables(pieces))} of it:"
            f" {show_size(least if panics else enough)} are"
            + (" the least it can boot with" if panics else " wanted with firmware and programs"),
            help=f"give {show_size(enough)} of boot memory, or less in pieces;"
            " memory_hotplug.memmap_on_memory=1 on the guest's command line takes the tables of a"
            " DIMM from the DIMM",
            level=Severity.ERROR if panics else Severity.WARNING,
        )
    ]


#: What a memory device needs of the guest's kernel.
_NEEDS = {
    VIRTIO_MEM: "the driver virtio_mem (CONFIG_VIRTIO_MEM)",
    "pc-dimm": "CONFIG_ACPI_HOTPLUG_MEMORY",
}


def judge_pieces(
    devices: Iterable[MemoryDevice], kernel: Guest, loc: Loc | None = None
) -> list[Finding]:
    """Say what a guest needs to use its pieces, or that it cannot.

    :param loc: where the guest, or what is asked for it, is written.
    """
    named: dict[str, list[MemoryDevice]] = {}
    for device in devices:
        named.setdefault(device.driver, []).append(device)
    found = []
    for driver, group in sorted(named.items()):
        if driver not in _NEEDS:
            continue
        which = f"{show_size(sum(device.size for device in group))} in pieces ({driver})"
        title = kernel.preset or "the guest"
        if kernel.takes(driver) is False:
            found.append(
                Finding(
                    "MM213",
                    f"{title} cannot use {which}: its kernel lacks {_NEEDS[driver]}",
                    help="leave memory.pieces to the plan, or give another guest",
                    loc=loc,
                )
            )
            continue
        found += _needs(which, driver, kernel, title, loc)
    return found


def _needs(
    which: str, driver: str, kernel: Guest, title: str, loc: Loc | None
) -> Iterable[Finding]:
    wants = [] if kernel.takes(driver) else [_NEEDS[driver]]
    if kernel.since:
        wants.append(f"a release from {kernel.since} on")
    if kernel.parameter:
        wants.append(f"{ONLINE} on its kernel's command line")
    if kernel.onlines is Onlines.AGENT:
        wants.append("its agent told to: guestmap apply PLAN --qmp ADDR --agent SOCKET")
    if not wants:
        return
    silent = kernel.onlines is Onlines.NOBODY
    yield Finding(
        "MM212",
        f"to use {which} {title} needs {', and '.join(wants)}",
        help=(
            "its kernel brings no memory online by itself"
            if silent
            else "say 'guest:' in the layout; Debian 13, Fedora and Ubuntu bring memory online by"
            " themselves, RHEL and SUSE by udev"
            if kernel.onlines is None
            else ""
        ),
        loc=loc,
        notes=(kernel.parameter,) if kernel.parameter else (),
        level=Severity.WARNING if silent else Severity.NOTE,
    )


def judge_floor(guest: GuestMap, floor: int, low_floor: int) -> list[Finding]:
    """Judge boot memory against what the firmware needs.

    :param floor: in all; :param low_floor: below 4 GiB, where memory above that was split off.
    """
    boot = boot_spans(guest)
    all_of_it = align_up(boot.size, MIB)
    low = align_up((boot & SpanSet([Span(0, 4 * GIB)])).size, MIB)
    for have, need, where in (
        (all_of_it, floor, "in all"),
        (low if low < all_of_it else low_floor, low_floor, "below 4 GiB"),
    ):
        if have < need:
            return [
                Finding(
                    "MM210",
                    f"boot memory is {show_size(have)} {where}, and firmware and kernel need"
                    f" {show_size(need)} there",
                    help=f"give it {show_size(need)} or more",
                )
            ]
    return []
