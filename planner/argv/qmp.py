"""A planned machine → the QMP commands that bring a paused guest to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from planner.argv.write import device_keys, root_port
from planner.machine.request import MachineRequest

__all__ = ["Command", "plug_commands"]


@dataclass(frozen=True, slots=True)
class Command:
    """One QMP command and what it is for."""

    execute: str
    arguments: dict[str, Any]
    #: In a person's words: ``dimm0, 1152 MiB at 0x100000000``.
    purpose: str


def plug_commands(request: MachineRequest, *, reserve: bool = True) -> list[Command]:
    """Return what plugs the pieces, in order: each backend, then its device at its address."""
    commands: list[Command] = []
    for device in request.devices:
        backend = {"qom-type": "memory-backend-ram", "id": device.memdev, "size": device.size}
        if not reserve:
            backend["reserve"] = False
        commands.append(Command("object-add", backend, f"memory for {device.id}"))
        bus = root_port(device) if device.driver == "virtio-mem-pci" else ""
        where = f"{device.id} at {device.addr:#x}"
        commands.append(Command("device_add", device_keys(device, bus), where))
    return commands
