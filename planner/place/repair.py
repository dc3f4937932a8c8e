"""The smallest changes that make a guest's memory fit.

Boot memory over a forbidden range is planned again and the rest becomes pieces; a DIMM over one is
given another address. Everything else stays. The changes are only proposed, in no particular
spelling: whoever asked writes them, reads the real map and judges it (:mod:`planner.place.check`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from planner.guest.kernel import ONLINE, boot_min, memory_block
from planner.judge.forbidden import Binding
from planner.machine.asked import Asked
from planner.machine.change import (
    AddPiece,
    Change,
    MoveDevice,
    ResizeBackend,
    SetCpu,
    SetMemory,
    SetOption,
    SetProperty,
    TellKernel,
    words_of,
)
from planner.machine.family import Machine, family
from planner.machine.options import size_word
from planner.machine.request import MachineRefusedError, MachineRequest, MemoryDevice
from planner.place.placement import Demand, Placement, largest_total, place
from planner.region import GuestMap, Region, WindowKind
from planner.span import GIB, SpanSet, align_down
from planner.units import show_size

__all__ = ["Repair", "RepairError", "narrow", "repair"]


class RepairError(Exception):
    """No change of the command line is known that helps; the message says why."""


@dataclass(frozen=True, slots=True)
class Repair:
    """Changes that help."""

    #: The machine they come to, where that is known.
    request: MachineRequest
    changes: tuple[Change, ...]
    #: What is lost by them, in words.
    less: str = ""

    @property
    def words(self) -> tuple[str, ...]:
        """One line a change, for people."""
        lost = (self.less,) if self.less else ()
        return (*lost, *map(words_of, self.changes))

    def then(self, later: Repair) -> Repair:
        """Return these changes and later ones of their result as one."""
        return replace(self, request=later.request, changes=self.changes + later.changes)


def repair(asked: Asked, binding: Binding) -> Repair:
    """Propose changes that make memory fit.

    :raise RepairError: nothing helps, in words.
    :raise MachineRefusedError: QEMU would refuse it as it is.
    :raise NotModelledError: the tables do not know the machine.
    """
    request, machine, holes = asked.request, asked.machine, binding.holes
    try:
        guest = machine.build(replace(request, devices=()))
    except MachineRefusedError as refused:
        raise RepairError(f"QEMU refuses the machine: {refused.message}") from None
    if any(holes.overlaps(region.span) for region in guest.boot_ram):
        return _replan(request, machine, guest, holes, asked.kernel_line)
    return _move_devices(request, machine, holes)


def _replan(
    request: MachineRequest,
    machine: Machine,
    guest: GuestMap,
    holes: SpanSet,
    kernel_line: str | None,
) -> Repair:
    """Place boot memory anew; the rest becomes pieces."""
    if request.devices:
        raise RepairError(
            "boot memory has to shrink while the line places memory devices itself; take the"
            " devices off and let the proposal place all memory"
        )
    if len(request.boot_backends) > 1:
        raise RepairError(
            "boot memory is given by NUMA nodes; which node should lose memory is not for us to say"
        )
    demand = Demand(
        total=request.boot_bytes,
        block=memory_block(guest),
        boot_min=boot_min(request.boot_bytes),
        slots=request.slots or None,
        max_total=max(request.max_bytes, request.boot_bytes),
        driver=family(request.type).piece_drivers[0],
    )
    outcome, less = _placed(machine, replace(request, boot_backends=()), demand, holes)
    final = outcome.request
    changes: list[Change] = [SetMemory(final.boot_bytes, final.max_bytes, final.slots)]
    changes += [SetOption(key, None) for key in sorted(request.options.keys() - final.options)]
    options = sorted(final.options.items() - request.options.items())
    changes += [SetOption(key, value) for key, value in options]
    properties = sorted(final.globals.items() - request.globals.items())
    changes += [SetProperty(key, value) for key, value in properties]
    if final.cpu != request.cpu:
        changes.append(SetCpu(final.cpu))
    backends = tuple(replace(b, size=final.boot_bytes) for b in request.boot_backends)
    changes += [ResizeBackend(backend.id, backend.size) for backend in backends]
    like = backends[0].id if backends else ""
    changes += [AddPiece(device, like) for device in final.devices]
    if final.devices and kernel_line is not None and ONLINE.partition("=")[0] not in kernel_line:
        changes.append(TellKernel(ONLINE))
    return Repair(replace(final, boot_backends=backends), tuple(changes), less)


def _placed(
    machine: Machine, request: MachineRequest, demand: Demand, holes: SpanSet
) -> tuple[Placement, str]:
    """Place the demand, or the most of it that fits, and say so.

    :raise RepairError: nothing fits.
    """
    outcome = place(machine, request, demand, holes)
    if isinstance(outcome, Placement):
        return outcome, ""
    most = largest_total(machine, request, demand, holes, demand.block)
    smaller = replace(demand, total=most, max_total=most, boot_min=min(demand.boot_min, most))
    fitting = place(machine, request, smaller, holes) if most else outcome
    if not isinstance(fitting, Placement):
        raise RepairError(f"{show_size(demand.total)} fit nowhere: {outcome.message}")
    return fitting, f"no more than {show_size(most)} fit"


def _move_devices(request: MachineRequest, machine: Machine, holes: SpanSet) -> Repair:
    """Give each memory device over a hole the lowest address that is free and allowed."""
    guest = machine.build(request)
    window = guest.window(WindowKind.DEVICE_MEMORY)
    bad = [d for d in request.devices if holes.overlaps(_region(guest, d).span)]
    if window is None or not bad:
        raise RepairError("no memory that the command line can move is in the way")
    good = [_region(guest, d).span for d in request.devices if d not in bad]
    free = SpanSet([window.span]) - holes - SpanSet(good)
    moved: dict[MemoryDevice, int] = {}
    for device in bad:
        align = max(device.align, device.block_size or 0, memory_block(guest))
        fit = free.first_fit(device.size, align)
        if fit is None:
            raise RepairError(
                f"no room for '{device.region}' ({show_size(device.size)}) in [{window.span}];"
                f" raise maxmem by {show_size(device.size)} or more"
            )
        free -= SpanSet([fit])
        moved[device] = fit.start
    devices = tuple(replace(d, addr=moved.get(d, d.addr)) for d in request.devices)
    changes = tuple(MoveDevice(device, address) for device, address in moved.items())
    return Repair(replace(request, devices=devices), changes)


def narrow(request: MachineRequest, machine: Machine, bits: int) -> Repair:
    """Propose a PC whose CPU and PCI window stay below an IOMMU's address bits.

    :param bits: the narrowest IOMMU's width.
    :raise RepairError: nothing helps, in words.
    """
    board = family(request.type)
    if not board.hole64:
        raise RepairError("the board's high PCI window is where it is")
    guest = machine.build(request)
    window = guest.window(WindowKind.PCI_MMIO64)
    changes: list[Change] = []
    if window and window.span.end > 1 << bits:
        room = align_down((1 << bits) - window.span.start, GIB)
        if room < GIB:
            raise RepairError(f"memory leaves no room for PCI below {bits} bits")
        words = f"a PCI window of {show_size(room)}"
        changes.append(SetProperty(board.hole64, size_word(room), words))
    if guest.address_bits is not None and guest.address_bits > bits:
        limit = "host-phys-bits-limit" if request.accel == "kvm" else "phys-bits"
        kept = [
            part
            for part in (request.cpu or board.cpu).split(",")
            if not part.startswith(f"{limit}=")
        ]
        changes.append(SetCpu(",".join([*kept, f"{limit}={bits}"]), f"{bits} address bits"))
    return Repair(request, tuple(changes))


def _region(guest: GuestMap, device: MemoryDevice) -> Region:
    return next(region for region in guest.regions if region.name == device.region)
