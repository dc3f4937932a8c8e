"""A planned machine → QEMU's command line.

Only the machine and its memory: disks, networks and assigned devices are the user's own to add.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from planner.argv.keyval import Size, emit_keyval
from planner.machine.family import family
from planner.machine.request import MachineRequest, MemoryDevice
from planner.machine.versions import parse_version
from planner.span import Span

__all__ = ["Emission", "emit_argv", "machine_word", "memory_words"]

#: Id of the boot memory's backend when it has to be one of our own.
BOOT_BACKEND = "boot-ram"
#: Id of the virtio-iommu that tells the guest about the doorbell.
IOMMU_ID = "doorbell-iommu"
#: QEMU 8.2 took the list as JSON, before it was an array property with a length: hw/virtio/
#: virtio-iommu-pci.c ``virtio_iommu_pci_properties``.
_LIST_SINCE = (8, 2)


@dataclass(frozen=True, slots=True)
class Emission:
    """How to spell the command line."""

    #: Program to name; empty takes the family's usual one.
    program: str = ""
    #: Firmware image for ``-bios``.
    firmware: str = ""
    #: False gives backends ``reserve=off``: memory is taken from the host only when it is used.
    reserve: bool = True
    #: False leaves the pieces out, for 'guestmap apply' to plug.
    pieces: bool = True


def machine_word(request: MachineRequest) -> str:
    """Return the value of ``-machine`` without its options: ``pc-q35-7.2``."""
    return family(request.type).machine_type(request.version)


def memory_words(boot_bytes: int, max_bytes: int, slots: int) -> str:
    """Return the value of ``-m``."""
    keys: dict[str, str | int] = {"size": Size(boot_bytes)}
    if max_bytes:
        keys |= {"slots": str(slots), "maxmem": Size(max_bytes)}
    return emit_keyval(keys)


def backend_word(name: str, size_bytes: int, *, reserve: bool) -> str:
    """Return the value of ``-object`` for plain memory."""
    keys: dict[str, str | int] = {"qom-type": "memory-backend-ram", "id": name}
    keys |= {"size": Size(size_bytes)} | ({} if reserve else {"reserve": "off"})
    return emit_keyval(keys, "qom-type")


def address_key(driver: str) -> str:
    """Return the property that gives a memory device its address."""
    return "memaddr" if driver == "virtio-mem-pci" else "addr"


def device_keys(device: MemoryDevice, bus: str = "") -> dict[str, str | int]:
    """Return the properties of a memory device, addresses as numbers."""
    keys: dict[str, str | int] = {"driver": device.driver, "id": device.id}
    keys["memdev"] = device.memdev
    if device.driver == "virtio-mem-pci":
        keys["requested-size"] = device.size
    if device.addr is not None:
        keys[address_key(device.driver)] = device.addr
    if bus:
        keys["bus"] = bus
    return keys


def device_word(device: MemoryDevice) -> str:
    """Return the value of ``-device`` for a piece, its address in hex."""
    return emit_keyval(device_keys(device), "driver")


def root_port(device: MemoryDevice) -> str:
    """Return the id of the root port a virtio-mem piece is plugged into later."""
    return f"port-{device.id}"


def emit_argv(
    request: MachineRequest,
    emission: Emission = Emission(),
    doorbell: Span | None = None,
) -> list[str]:
    """Return the command line of a planned machine.

    :param doorbell: a window for virtio-iommu to report; None when nothing on this machine can.
    """
    machine: dict[str, str | int] = {"type": machine_word(request), **request.options}
    if not emission.reserve:
        machine["memory-backend"] = BOOT_BACKEND
    argv = [emission.program or f"qemu-system-{family(request.type).targets[0]}"]
    argv += ["-machine", emit_keyval(machine, "type")]
    if request.accel != "tcg":
        argv += ["-accel", request.accel]
    if request.cpu:
        argv += ["-cpu", request.cpu]
    argv += ["-m", memory_words(request.boot_bytes, request.max_bytes, request.slots)]
    for key, value in request.globals.items():
        argv += ["-global", f"{key}={value}"]
    if emission.firmware:
        argv += ["-bios", emission.firmware]
    if not emission.reserve:
        argv += ["-object", backend_word(BOOT_BACKEND, request.boot_bytes, reserve=False)]
    for number, device in enumerate(request.devices):
        if emission.pieces:
            argv += ["-object", backend_word(device.memdev, device.size, reserve=emission.reserve)]
            argv += ["-device", device_word(device)]
        elif device.driver == "virtio-mem-pci":
            argv += ["-device", f"pcie-root-port,id={root_port(device)},chassis={number + 1}"]
    if doorbell:
        argv += ["-device", _iommu_word(doorbell, request.version)]
    return argv


def _iommu_word(doorbell: Span, version: str) -> str:
    """Return a virtio-iommu that reports the doorbell as an MSI region (type 1)."""
    region = f"{doorbell.start:#x}:{doorbell.last:#x}:1"
    if version and parse_version(version) < _LIST_SINCE:
        return f"virtio-iommu-pci,id={IOMMU_ID},len-reserved-regions=1,reserved-regions[0]={region}"
    return json.dumps(
        {"driver": "virtio-iommu-pci", "id": IOMMU_ID, "reserved-regions": [region]},
        separators=(",", ":"),
    )
