"""Scenes: a guest, and memory and host devices plugged into it in some order."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from planner.span import GIB, MIB, TIB

__all__ = ["DEVICES", "RESCUE", "Scene", "Step", "draw_scene"]

#: What scenes assign; the last is the ``direct`` one where tables are replaced.
DEVICES = ("0000:01:00.0", "0000:02:00.0", "0000:04:00.0", "0000:03:00.0")

#: Ends of device memory: mostly past every edge, sometimes before any.
_MEMORY = ("1100G", "1100G", "1100G", "40G")
#: Edges to plug memory at, by a word of the host's name: AMD's range, 39 bits.
_EDGES = {"amd": (0xFD_0000_0000, TIB), "intel-39": (0x80_0000_0000,)}
_NO_EDGE = (0x80_0000_0000, 0xFD_0000_0000)
_WINDOW = 4 * GIB
_STEP = 2 * MIB
_SIZES = (32 * MIB, 64 * MIB)


@dataclass(frozen=True, slots=True)
class Step:
    """One QMP command of a scene."""

    command: str
    arguments: dict[str, Any]

    def __str__(self) -> str:
        shown = (
            f"{key}={value:#x}" if key in ("addr", "memaddr", "size") else f"{key}={value}"
            for key, value in self.arguments.items()
        )
        return f"{self.command} {','.join(shown)}"


@dataclass(frozen=True, slots=True)
class Scene:
    """A guest's arguments, and what is done to it."""

    argv: tuple[str, ...]
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return f"{' '.join(self.argv)}: {'; '.join(map(str, self.steps))}"


def draw_scene(random: Random, host: str, *, growing: bool = True) -> Scene:
    """Draw a scene; each has a device and memory, in either order.

    In one of seven the guest runs and drives a virtio-mem device that is asked to grow.

    :param host: the host kind's name, which tells the edges.
    :param growing: whether there may be such.
    """
    edges = next((_EDGES[word] for word in _EDGES if word in host), _NO_EDGE)
    if random.random() < 0.15 and growing:
        return _growing(random, edges)
    machine = random.choice(("q35", "pc"))
    memory = random.choice(_MEMORY)
    argv = _argv(machine, memory)
    top = _WINDOW + int(memory[:-1]) * GIB
    pieces: list[list[Step]] = [_vfio(0, random.choice(DEVICES), machine)]
    if random.random() < 0.15:
        others = [d for d in DEVICES if d != pieces[0][0].arguments["host"]]
        pieces.append(_vfio(1, random.choice(others), machine))
    # Explicit places first, so that none is where QEMU put another.
    taken: list[tuple[int, int]] = []
    inside = [edge for edge in edges if edge < top]
    count = random.randint(1, 3)
    pieces += [_dimm(number, random, top, inside, taken) for number in range(count)]
    random.shuffle(pieces)
    if random.random() < 0.25:
        # A large virtio-mem, empty: it takes the addresses, and what QEMU places later lies behind.
        size = random.choice([edge - _WINDOW for edge in inside] or [35 * GIB])
        pieces = [_virtio_mem(size, machine), *map(_left_to_qemu, pieces)]
    return Scene(argv, tuple(step for piece in pieces for step in piece))


def _argv(machine: str, memory: str) -> tuple[str, ...]:
    # An AMD guest CPU would make QEMU itself step over 1 TiB.
    argv = ["-M", machine, "-cpu", "qemu64,vendor=GenuineIntel,phys-bits=48", "-accel", "tcg"]
    argv += ["-m", f"64M,slots=8,maxmem={memory}", "-S", "-nographic", "-nodefaults"]
    if machine == "q35":
        for number in range(3):
            argv += ["-device", f"pcie-root-port,id=hp{number},chassis={number + 1}"]
    return tuple(argv)


def _bus(number: int, machine: str) -> str:
    return f"hp{number}" if machine == "q35" else "pci.0"


def _vfio(number: int, host: str, machine: str) -> list[Step]:
    arguments = {"driver": "vfio-pci", "host": host, "bus": _bus(number, machine)}
    return [Step("device_add", {**arguments, "id": f"host{number}"})]


def _dimm(
    number: int, random: Random, top: int, edges: list[int], taken: list[tuple[int, int]]
) -> list[Step]:
    size = random.choice(_SIZES)
    arguments: dict[str, Any] = {"driver": "pc-dimm", "id": f"dimm{number}", "memdev": f"m{number}"}
    if random.random() < 0.75:
        address = _address(random, size, top, edges, taken)
        if address is not None:
            taken.append((address, size))
            arguments["addr"] = address
    backend = {"qom-type": "memory-backend-ram", "id": f"m{number}", "size": size}
    return [Step("object-add", backend), Step("device_add", arguments)]


def _address(
    random: Random, size: int, top: int, edges: list[int], taken: list[tuple[int, int]]
) -> int | None:
    """Draw an address in device memory, at an edge more often than not, clear of the others.

    The first GiB is left to what QEMU places.
    """
    for _ in range(20):
        if edges and random.random() < 0.75:
            edge = random.choice(edges) + _STEP * random.choice((-1, 0, 0, 0, 1))
            address = random.choice((edge, edge - size, edge - size // 2))
        else:
            address = random.randrange(_WINDOW + GIB, top - size) // _STEP * _STEP
        clear = all(address + size <= base or base + many <= address for base, many in taken)
        if clear and _WINDOW + GIB <= address <= top - size:
            return address
    return None


def _virtio_mem(size: int, machine: str) -> list[Step]:
    backend = {"qom-type": "memory-backend-ram", "id": "vm", "size": size, "reserve": False}
    arguments = {"driver": "virtio-mem-pci", "id": "vmem", "memdev": "vm"}
    return [
        Step("object-add", backend),
        Step("device_add", {**arguments, "bus": _bus(2, machine)}),
    ]


def _growing(random: Random, edges: tuple[int, ...]) -> Scene:
    """Draw a virtio-mem device near an edge, its growth, and a device before or after that."""
    edge = random.choice(edges)
    address = edge + random.choice((-GIB, -320 * MIB, -64 * MIB, 0, 64 * MIB))
    requested = random.choice((16 * MIB, 48 * MIB))
    argv = [part for part in _argv("q35", "1100G") if part != "-S"]
    argv += ["-kernel", "/lab/plugger", "-debugcon", "file:/tmp/console"]
    argv += ["-object", f"memory-backend-ram,id=vm,size={GIB},reserve=off"]
    argv += ["-device", f"virtio-mem-pci,id=vmem,memdev=vm,memaddr={address:#x}"]
    path = "/machine/peripheral/vmem"
    grow = Step("qom-set", {"path": path, "property": "requested-size", "value": requested})
    steps = [grow, *_vfio(0, random.choice(DEVICES[:3]), "q35")]
    random.shuffle(steps)
    return Scene(tuple(argv), tuple(steps))


def _left_to_qemu(piece: list[Step]) -> list[Step]:
    """Return the piece without the address it asks for."""
    *before, last = piece
    kept = {key: value for key, value in last.arguments.items() if key != "addr"}
    return [*before, Step(last.command, kept)]


#: The scene that kills: a device, then memory where its group forbids it.
RESCUE = Scene(
    _argv("q35", "1100G"),
    (
        *_vfio(0, DEVICES[0], "q35"),
        Step("object-add", {"qom-type": "memory-backend-ram", "id": "m1", "size": 64 * MIB}),
        Step(
            "device_add",
            {"driver": "pc-dimm", "id": "dimm1", "memdev": "m1", "addr": 0xFD_0000_0000},
        ),
    ),
)
