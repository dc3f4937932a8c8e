"""What a layout asks for."""

from __future__ import annotations

from planner.layout.model import Layout
from planner.machine.asked import Asked, HostDevice
from planner.machine.family import Machine, family
from planner.machine.request import MachineRequest, accel_of

__all__ = ["asked_of"]


def asked_of(layout: Layout) -> Asked:
    """Return what a layout asks for, all memory as boot memory."""
    spec, memory = layout.machine, layout.memory
    options = sorted(spec.options.items())
    request = MachineRequest(
        type=spec.type,
        version=spec.version,
        cpu=spec.cpu,
        boot_bytes=memory.size,
        max_bytes=memory.max or 0,
        slots=memory.slots or 0,
        options={key: value for key, value in options if "." not in key},
        globals={key: value for key, value in options if "." in key},
        address_bits=spec.address_bits,
        accel=accel_of(spec.cpu),
    )
    launched = {name: f"devices.{index}.host" for index, name in enumerate(layout.devices)}
    later = {name: f"hotplug.devices.{index}" for index, name in enumerate(layout.hotplug)}
    devices = {**later, **launched}
    return Asked(
        request,
        tuple(HostDevice(name, loc=layout.where(path)) for name, path in devices.items()),
        board=_drawn(layout) if family(spec.type).drawn else None,
    )


def _drawn(layout: Layout) -> Machine:
    from planner.machine.custom.board import Custom  # noqa: PLC0415  # only where one is drawn

    return Custom(layout.regions, layout.windows)
