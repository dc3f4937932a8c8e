"""A running QEMU's machine, told again as the command line that would ask for the same map.

What it was started with is not what it says; it says what it has. Only what moves the map is told,
and only where it is not the machine's own default.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from planner.machine.family import Family, recognise
from qmp_glue.addresses import MonitorAddress
from qmp_glue.asks import Asks
from qmp_glue.errors import GarbageError
from qmp_glue.guard.assigned import UnknownDeviceError, asked_for
from qmp_glue.live import at_monitor
from qmp_glue.reading import read_memory_devices

__all__ = ["Recount", "recount"]

_CPU_SUFFIX = re.compile(r"-(?:arm|x86_64|i386)-cpu\Z")


@dataclass(frozen=True, slots=True)
class Recount:
    """What a running QEMU says of itself."""

    #: Program and options, without memory devices.
    argv: tuple[str, ...]
    #: ``-name``, empty without one.
    name: str
    #: Version of the program.
    qemu: str
    #: Size of all memory devices together, in bytes.
    plugged: int
    #: What could not be told, in words.
    remarks: tuple[str, ...]


def recount(address: MonitorAddress, sysfs: Path = Path("/sys")) -> Recount:
    """Ask the QEMU whose monitor is at *address*; nothing is changed.

    :raise GlueError: nobody answers there, or not as a QEMU does.
    """
    return at_monitor(address, lambda asks: _ask(asks, sysfs))


async def _ask(session: Asks, sysfs: Path) -> Recount:
    try:
        arch = str((await session.execute("query-target"))["arch"])
        name = str((await session.execute("query-name")).get("name", ""))
        kvm = bool((await session.execute("query-kvm"))["enabled"])
        machine = str(await session.get("/machine", "type")).removesuffix("-machine")
        memory = await _memory(session)
        family = recognise(machine, arch)
        options = await _machine_options(session, family)
        words = ["-M", ",".join([machine, *options]), *await _cpu(session), "-m", memory]
    except (KeyError, IndexError, TypeError, AttributeError):
        raise GarbageError(f"{session.name}: did not answer as a QEMU does") from None
    words += ["-accel", "kvm"] if kvm else []
    words += await _hole64(session, family)
    devices, remarks = await _devices(session, sysfs)
    plugged = sum(device.span.size for device in await read_memory_devices(session))
    argv = (f"qemu-system-{arch}", *words, *devices)
    return Recount(argv, name, str(session.version), plugged, tuple(remarks))


async def _memory(session: Asks) -> str:
    """Return ``-m``; the property is a struct since QEMU 7.1."""
    found = await session.get("/machine", "memory")
    if not isinstance(found, dict):
        summary = await session.execute("query-memory-size-summary")
        return f"size={_size(summary['base-memory'])}"
    text = f"size={_size(found['size'])}"
    most, slots = found.get("max-size", 0), found.get("slots", 0)
    if most > found["size"]:
        text += f",maxmem={_size(most)}" + (f",slots={slots}" if slots else "")
    return text


async def _machine_options(session: Asks, family: Family | None) -> list[str]:
    told = []
    for name, fact in family.options.items() if family else ():
        value = None if fact.default is None else await session.get("/machine", name)
        if value is not None and value != fact.default:
            told.append(f"{name}={_spelled(value)}")
    return told


def _spelled(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return _size(value) if isinstance(value, int) else str(value)


def _size(value: int) -> str:
    """Write a size as ``-m`` and ``-M`` read it alike."""
    for shift, unit in ((30, "G"), (20, "M")):
        if value and value % (1 << shift) == 0:
            return f"{value >> shift}{unit}"
    return f"{value}B"


async def _cpu(session: Asks) -> list[str]:
    """Return ``-cpu``: the model and what of it decides the map (x86: vendor and width)."""
    path = str((await session.execute("query-cpus-fast"))[0]["qom-path"])
    model = str(await session.get(path, "type") or "")
    text = _CPU_SUFFIX.sub("", model)
    if text == model:
        return []
    if model.endswith("_64-cpu") and await session.get(path, "lm"):
        text += f",vendor={await session.get(path, 'vendor')}"
        text += f",phys-bits={await session.get(path, 'phys-bits')}"
    return ["-cpu", text]


async def _hole64(session: Asks, family: Family | None) -> list[str]:
    if family is None or not family.bridge:
        return []
    size = await session.get(family.bridge_path, "pci-hole64-size")
    if not isinstance(size, int) or size == family.hole64_bytes:
        return []
    return ["-global", f"{family.hole64}={_size(size)}"]


async def _devices(session: Asks, sysfs: Path) -> tuple[list[str], list[str]]:
    """Return ``-device`` for each host device, and what could not be named."""
    try:
        found = await asked_for(session, sysfs)
    except UnknownDeviceError as error:
        return [], [f"the assigned devices: {error}"]
    # sysfsdev= takes what host= does not: platform devices, PCI domains above ffff.
    return [w for device in found for w in ("-device", f"vfio-pci,sysfsdev={device.name}")], []
