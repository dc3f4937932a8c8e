"""What a machine is asked for, and how it says no. Pure data; sizes in bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["MachineRefusedError", "MachineRequest", "MemoryDevice", "NotModelledError"]


class MachineRefusedError(Exception):
    """QEMU would refuse to start this machine; the message is QEMU's, or close to it."""

    def __init__(self, message: str, help_text: str = "") -> None:
        super().__init__(message)
        self.message = message
        #: What to change.
        self.help = help_text


class NotModelledError(Exception):
    """The tables do not know this machine, version or option; a probe of the real QEMU does."""


@dataclass(frozen=True, slots=True)
class MemoryDevice:
    """A DIMM or virtio-mem device in device memory."""

    id: str
    size: int
    #: None: QEMU places it.
    addr: int | None = None
    #: QEMU's driver name.
    driver: str = "pc-dimm"
    #: Alignment of the backend in bytes; 2 MiB for RAM backends of x86 and Arm.
    align: int = 2 << 20


@dataclass(frozen=True, slots=True)
class MachineRequest:
    """Everything on a QEMU command line that moves the memory map."""

    #: Family: ``virt``, ``q35`` or ``pc``.
    type: str
    #: Version of the machine type, ``7.2``; empty means the newest in the tables.
    version: str
    #: ``-cpu`` text, empty for the default.
    cpu: str
    #: ``-m`` size: boot memory.
    boot_bytes: int
    #: ``maxmem``; equal to or below boot_bytes means no device memory.
    max_bytes: int = 0
    slots: int = 0
    #: ``-M`` options other than the type.
    options: Mapping[str, str] = field(default_factory=dict)
    #: ``-global driver.property=value``.
    globals: Mapping[str, str] = field(default_factory=dict)
    #: Limit from outside QEMU's CPU model (KVM IPA size); None takes the CPU's own.
    address_bits: int | None = None
    devices: tuple[MemoryDevice, ...] = ()
    #: Whether a firmware image is given (virt: decides whether ACPI and so the GED exist).
    firmware: bool = False
