"""Where QEMU puts DIMMs and virtio-mem devices, and when it refuses them.

The rules of hw/mem/memory-device.c ``memory_device_pre_plug()`` and
``memory_device_get_free_addr()`` and of hw/mem/pc-dimm.c ``pc_dimm_pre_plug()``, QEMU 7.2 and 10.0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from planner.machine.request import MachineRefusedError, MemoryDevice, NotModelledError
from planner.region import Kind, Origin, Region
from planner.span import ADDRESS_LIMIT, Span, align_up

__all__ = ["DIMM_DRIVERS", "MAX_SLOTS", "VIRTIO_MEM", "place_devices"]

#: ``ACPI_MAX_RAM_SLOTS``, include/hw/acpi/acpi.h, QEMU 7.2.
MAX_SLOTS = 256
DIMM_DRIVERS = ("pc-dimm", "nvdimm")
VIRTIO_MEM = "virtio-mem-pci"
#: ``virtio_mem_default_block_size()`` on hosts with 2 MiB transparent huge pages.
_VIRTIO_MEM_BLOCK = 2 << 20


def place_devices(
    devices: Iterable[MemoryDevice],
    window: Span | None,
    room: int,
    slots: int,
    check_dimm: Callable[[MemoryDevice], None],
) -> tuple[MemoryDevice, ...]:
    """Give every device the address and slot QEMU would, in command line order.

    :param window: device memory; None when there is none.
    :param room: ``maxmem`` minus boot memory: what all devices together may use.
    :param slots: as ``-m slots=``.
    :param check_dimm: the board's own check of a DIMM, which comes first.
    :return: the devices with address and slot set.
    :raise MachineRefusedError: QEMU would refuse one, in its words.
    """
    placed: list[MemoryDevice] = []
    for device in devices:
        if device.driver in DIMM_DRIVERS:
            check_dimm(device)
        slotted = _take_slot(device, placed, slots)
        if window is None:
            raise MachineRefusedError(
                "the configuration is not prepared for memory devices (e.g., for memory hotplug),"
                " consider specifying the maxmem option",
                "give -m a maxmem above the boot memory",
            )
        placed.append(_place(slotted, placed, window, room))
    return tuple(placed)


def plugged_regions(devices: Iterable[MemoryDevice]) -> Iterable[Region]:
    """Yield the region of each placed device."""
    origin = Origin("memory device, QEMU hw/mem/memory-device.c memory_device_plug()")
    for device in devices:
        if device.addr is not None:
            kind = Kind.NVRAM if device.driver == "nvdimm" else Kind.RAM
            yield Region(Span.sized(device.addr, device.size), device.region, kind, origin)


def _take_slot(device: MemoryDevice, placed: list[MemoryDevice], slots: int) -> MemoryDevice:
    if device.driver == VIRTIO_MEM:
        return device
    if device.driver not in DIMM_DRIVERS:
        raise NotModelledError(f"memory device '{device.driver}' is not in the machine tables")
    if device.slot is not None and not 0 <= device.slot < slots:
        raise MachineRefusedError(
            f"invalid slot number {device.slot}, valid range is [0-{(slots - 1) % ADDRESS_LIMIT}]",
            "raise slots= of -m or choose another slot",
        )
    if slots <= 0:
        raise MachineRefusedError(
            "no slots where allocated, please specify the 'slots' option",
            "add slots=N to -m, one for each DIMM",
        )
    busy = {other.slot for other in placed if other.driver in DIMM_DRIVERS}
    if device.slot is not None:
        if device.slot in busy:
            raise MachineRefusedError(f"slot {device.slot} is busy", "choose another slot")
        return device
    free = next((slot for slot in range(slots) if slot not in busy), None)
    if free is None:
        raise MachineRefusedError("no free slots available", "raise slots= of -m")
    return replace(device, slot=free)


def _place(
    device: MemoryDevice, placed: list[MemoryDevice], window: Span, room: int
) -> MemoryDevice:
    used = sum(other.size for other in placed)
    if used + device.size > room:
        raise MachineRefusedError(
            f"not enough space, currently {used:#x} in use of total space for memory devices"
            f" {room:#x}",
            f"raise maxmem by at least {used + device.size - room:#x} bytes",
        )
    if device.size % device.align:
        raise MachineRefusedError(
            f"backend memory size must be multiple of {device.align:#x}",
            f"round {device.size:#x} to a multiple of {device.align:#x}",
        )
    align = max(device.align, _device_align(device))
    addr = _find(device, placed, window, align)
    _check_blocks(device)
    return replace(device, addr=addr)


def _device_align(device: MemoryDevice) -> int:
    """Return the device's own alignment: virtio-mem's block size (virtio-mem-pci.c)."""
    if device.driver != VIRTIO_MEM:
        return 1
    return device.block_size or max(_VIRTIO_MEM_BLOCK, device.align)


def _check_blocks(device: MemoryDevice) -> None:
    """Check what ``virtio_mem_device_realize()`` asks for, after the device was placed."""
    block = _device_align(device)
    if device.size % block:
        raise MachineRefusedError(
            f"'memdev' property memdev size has to be multiples of 'block-size' ({block:#x})",
            f"round {device.size:#x} to a multiple of {block:#x}",
        )


def _find(device: MemoryDevice, placed: list[MemoryDevice], window: Span, align: int) -> int:
    """First fit from the window's start, or the address asked for if nothing is there."""
    if device.addr:
        return _check_hint(device, placed, window, align)
    start = align_up(window.start, align)
    for other in sorted(placed, key=lambda item: item.addr or 0):
        other_start = other.addr or 0
        if other_start >= start + device.size:
            break
        if other_start + other.size > start:
            start = align_up(other_start + other.size, align)
    if start + device.size > window.end:
        raise MachineRefusedError(
            "could not find position in guest address space for memory device - memory fragmented"
            " due to alignments",
            "raise slots= or maxmem of -m, or give the devices explicit addresses",
        )
    return start


def _check_hint(device: MemoryDevice, placed: list[MemoryDevice], window: Span, align: int) -> int:
    addr = device.addr or 0
    if addr % align:
        raise MachineRefusedError(
            f"address must be aligned to {align:#x} bytes",
            f"use {addr // align * align:#x} or {align_up(addr, align):#x}",
        )
    if addr + device.size > ADDRESS_LIMIT or not window.contains(Span.sized(addr, device.size)):
        raise MachineRefusedError(
            f"can't add memory device [{addr:#x}:{device.size:#x}], usable range for memory devices"
            f" [{window.start:#x}:{window.size:#x}]",
            f"keep the device inside [{window}]; slots= and maxmem of -m make that range larger",
        )
    for other in sorted(placed, key=lambda item: item.addr or 0):
        if Span.sized(other.addr or 0, other.size).overlaps(Span.sized(addr, device.size)):
            raise MachineRefusedError(
                f"address range conflicts with memory device id='{other.id or '(unnamed)'}'",
                f"move the device out of [{Span.sized(other.addr or 0, other.size)}]",
            )
    return addr
