"""Changes of what is asked for, in nobody's spelling; sizes in bytes.

:mod:`planner.place.repair` proposes them; a command line or a domain writes them its own way.
"""

from __future__ import annotations

from dataclasses import dataclass

from planner.machine.request import MemoryDevice
from planner.units import show_size

__all__ = [
    "AddPiece",
    "Change",
    "MoveDevice",
    "ResizeBackend",
    "SetCpu",
    "SetMemory",
    "SetOption",
    "SetProperty",
    "TellKernel",
    "words_of",
]


@dataclass(frozen=True, slots=True)
class SetMemory:
    """Boot memory, ceiling and slots; a ceiling of 0 leaves it and the slots out."""

    boot_bytes: int
    max_bytes: int
    slots: int


@dataclass(frozen=True, slots=True)
class SetOption:
    """An option of the machine; None takes it away."""

    key: str
    value: str | None


@dataclass(frozen=True, slots=True)
class SetProperty:
    """A property of every device of a driver, ``driver.property``; *why* is for people."""

    name: str
    value: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class TellKernel:
    """A parameter more for the kernel that QEMU loads itself."""

    parameter: str


@dataclass(frozen=True, slots=True)
class SetCpu:
    """The CPU model with its features, as QEMU writes it; *why* is for people."""

    text: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class ResizeBackend:
    """Another size for a memory backend that boot memory is made of."""

    id: str
    size: int


@dataclass(frozen=True, slots=True)
class AddPiece:
    """A new memory device at its address, with memory of its own of the kind boot memory has."""

    device: MemoryDevice
    #: Id of the backend boot memory is made of; empty where it is QEMU's own.
    like: str = ""


@dataclass(frozen=True, slots=True)
class MoveDevice:
    """Another address for a memory device that is there."""

    device: MemoryDevice
    address: int


Change = (
    SetMemory
    | SetOption
    | SetProperty
    | SetCpu
    | TellKernel
    | ResizeBackend
    | AddPiece
    | MoveDevice
)


def words_of(change: Change) -> str:
    """Return a change for people."""
    match change:
        case SetMemory(boot):
            return f"boot memory {show_size(boot)}"
        case SetOption(key, value):
            return f"no {key}" if value is None else f"{key}={value}"
        case SetProperty(name, value, why):
            return why or f"{name}={value}"
        case SetCpu(text, why):
            return why or f"-cpu {text}"
        case TellKernel(parameter):
            return f"{parameter} for the guest's kernel"
        case ResizeBackend(name, size):
            return f"backend {name} {show_size(size)}"
        case AddPiece(device):
            return f"{device.driver} of {show_size(device.size)} at {device.addr:#x}"
        case MoveDevice(device, address):
            return f"{device.region} at {address:#x}"
