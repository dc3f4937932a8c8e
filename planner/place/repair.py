"""The smallest change to a command line that makes its memory fit.

Boot memory over a forbidden range is planned again and the rest becomes pieces; a DIMM over one is
given another address. Everything else on the line stays word for word. The proposal is only that:
the caller probes the changed line and judges its real map.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from planner.argv.keyval import Size, size_word
from planner.argv.line import CommandLine
from planner.argv.split import Option
from planner.argv.write import backend_word, device_word, memory_words
from planner.judge.forbidden import Binding
from planner.machine.machine import Machine
from planner.machine.request import MachineRefusedError, MachineRequest, MemoryDevice
from planner.place.placement import Demand, Placement, largest_total, place
from planner.region import GuestMap, Region, WindowKind
from planner.span import GIB, MIB, SpanSet, align_down
from planner.units import show_size

__all__ = ["Repair", "RepairError", "narrow", "repair"]


class RepairError(Exception):
    """No change of the command line is known that helps; the message says why."""


@dataclass(frozen=True, slots=True)
class Repair:
    """A proposed command line."""

    argv: tuple[str, ...]
    #: One line a change, for people.
    changes: tuple[str, ...]
    #: The options before and after, in order, for a diff.
    before: tuple[str, ...]
    after: tuple[str, ...]

    def then(self, later: Repair) -> Repair:
        """Return this change and a later one of its result as one."""
        return Repair(later.argv, self.changes + later.changes, self.before, later.after)


def repair(
    line: CommandLine, request: MachineRequest, machine: Machine, binding: Binding, driver: str
) -> Repair:
    """Propose a command line.

    :param request: the line's machine.
    :param driver: QEMU's driver for new pieces of memory.
    :raise RepairError: nothing helps, in words.
    :raise NotModelledError: the tables do not know the machine.
    """
    holes = binding.holes
    boot_only = replace(request, devices=())
    try:
        guest = machine.build(boot_only)
    except MachineRefusedError as refused:
        raise RepairError(f"QEMU refuses the machine: {refused.message}") from None
    names = set(machine.boot_ram(guest))
    if any(r.name in names and holes.overlaps(r.span) for r in guest.regions):
        edits = _replan(line, request, machine, binding, driver)
    else:
        edits = _move_devices(line, request, machine, holes)
    return edits.result()


def _replan(
    line: CommandLine, request: MachineRequest, machine: Machine, binding: Binding, driver: str
) -> _Edits:
    """Place boot memory anew; memory devices already on the line go back after it."""
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
        block=machine.default_block(request),
        boot_min=min(128 * MIB, request.boot_bytes),
        slots=request.slots or None,
        max_total=max(request.max_bytes, request.boot_bytes),
        driver=driver,
    )
    outcome, less = _placed(machine, replace(request, boot_backends=()), demand, binding.holes)
    final = outcome.request
    edits = _Edits(line)
    if less:
        edits.say(less)
    edits.set("m", memory_words(final), f"boot memory {show_size(final.boot_bytes)}")
    for key in sorted(final.options.items() - request.options.items()):
        edits.append("machine", "=".join(key), "=".join(key))
    for key in sorted(final.globals.items() - request.globals.items()):
        edits.append("global", "=".join(key), "=".join(key))
    if final.cpu != request.cpu:
        edits.set("cpu", final.cpu, f"-cpu {final.cpu}")
    backend = request.boot_backends[0].id if request.boot_backends else ""
    if backend:
        edits.resize_backend(backend, final.boot_bytes)
    for device in final.devices:
        edits.add_piece(device, backend)
    return edits


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


def _move_devices(
    line: CommandLine, request: MachineRequest, machine: Machine, holes: SpanSet
) -> _Edits:
    """Give each memory device over a hole the lowest address that is free and allowed."""
    guest = machine.build(request)
    window = guest.window(WindowKind.DEVICE_MEMORY)
    bad = [d for d in request.devices if holes.overlaps(_region(guest, d).span)]
    if window is None or not bad:
        raise RepairError("no memory that the command line can move is in the way")
    good = [_region(guest, d).span for d in request.devices if d not in bad]
    free = SpanSet([window.span]) - holes - SpanSet(good)
    edits = _Edits(line)
    for device in bad:
        align = max(device.align, device.block_size or 0, machine.default_block(request))
        fit = free.first_fit(device.size, align)
        if fit is None:
            raise RepairError(
                f"no room for '{device.region}' ({show_size(device.size)}) in [{window.span}];"
                f" raise maxmem by {show_size(device.size)} or more"
            )
        free -= SpanSet([fit])
        edits.move(device, fit.start)
    return edits


def narrow(line: CommandLine, request: MachineRequest, machine: Machine, bits: int) -> Repair:
    """Propose a PC whose CPU and PCI window stay below an IOMMU's address bits.

    :param bits: the narrowest IOMMU's width.
    :raise RepairError: nothing helps, in words.
    """
    if request.type not in ("q35", "pc"):
        raise RepairError("the board's high PCI window is where it is")
    bridge = "q35-pcihost" if request.type == "q35" else "i440FX-pcihost"
    guest = machine.build(request)
    window = guest.window(WindowKind.PCI_MMIO64)
    edits = _Edits(line)
    if window and window.span.end > 1 << bits:
        room = align_down((1 << bits) - window.span.start, GIB)
        if room < GIB:
            raise RepairError(f"memory leaves no room for PCI below {bits} bits")
        key = f"{bridge}.pci-hole64-size"
        edits.append("global", f"{key}={size_word(room)}", f"a PCI window of {show_size(room)}")
    if guest.address_bits is not None and guest.address_bits > bits:
        limit = "host-phys-bits-limit" if request.accel == "kvm" else "phys-bits"
        kept = [
            part
            for part in (request.cpu or "qemu64").split(",")
            if not part.startswith(f"{limit}=")
        ]
        edits.set("cpu", ",".join([*kept, f"{limit}={bits}"]), f"{bits} address bits")
    return edits.result()


def _region(guest: GuestMap, device: MemoryDevice) -> Region:
    return next(region for region in guest.regions if region.name == device.region)


class _Edits:
    """A command line being changed, option by option."""

    def __init__(self, line: CommandLine) -> None:
        self._program = line.program
        self._before = list(line.options)
        self._after = list(line.options)
        self._changes: list[str] = []

    def say(self, change: str) -> None:
        """Add a word on what changes."""
        self._changes.append(change)

    def set(self, name: str, value: str, change: str) -> None:
        """Replace the last option of a name, or add one."""
        for index in range(len(self._after) - 1, -1, -1):
            if self._after[index].name == name:
                self._after[index] = _option(name, value)
                break
        else:
            self._after.append(_option(name, value))
        self._changes.append(change)

    def append(self, name: str, value: str, change: str) -> None:
        """Add an option at the end."""
        self._after.append(_option(name, value))
        self._changes.append(change)

    def resize_backend(self, name: str, size: int) -> None:
        """Give a memory backend another size."""
        self._rewrite("object", name, {"size": Size(size)}, f"backend {name} {show_size(size)}")

    def move(self, device: MemoryDevice, address: int) -> None:
        """Give a memory device another address."""
        key = "memaddr" if device.driver == "virtio-mem-pci" else "addr"
        wanted = device.id or device.memdev
        change = f"{wanted} at {address:#x}"
        self._rewrite("device", wanted, {key: address}, change)

    def add_piece(self, device: MemoryDevice, like: str) -> None:
        """Add a piece of memory, backed as the backend *like* is."""
        backend = self._after[self._index("object", like)] if like else None
        if backend:
            word = backend.changed({"id": device.memdev, "size": Size(device.size)}).value
        else:
            word = backend_word(device.memdev, device.size, reserve=True)
        self._after += [_option("object", word), _option("device", device_word(device))]
        where = f"{show_size(device.size)} at {device.addr:#x}"
        self._changes.append(f"{device.driver} of {where}")

    def _index(self, name: str, identity: str) -> int:
        for index, option in enumerate(self._after):
            named = (option.keys.get("id"), option.keys.get("memdev") if name == "device" else None)
            if option.name == name and identity in named:
                return index
        raise RepairError(f"'{identity}' was not found on the command line")

    def _rewrite(
        self, name: str, identity: str, changed: dict[str, str | int | None], change: str
    ) -> None:
        index = self._index(name, identity)
        self._after[index] = self._after[index].changed(changed)
        self._changes.append(change)

    def result(self) -> Repair:
        """Return the changed line."""
        words = [word for option in self._after for word in option.words]
        return Repair(
            (self._program, *words),
            tuple(self._changes),
            tuple(_shown(self._before)),
            tuple(_shown(self._after)),
        )


def _option(name: str, value: str) -> Option:
    return Option.of(name, value)


def _shown(options: Iterable[Option]) -> Iterable[str]:
    return (str(option) for option in options)
