"""What a layout file says, typed. Pure data; sizes and addresses in bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from planner.guest.kernel import UNKNOWN, Guest, Pieces
from planner.host.profile import Scope
from planner.region import Loc, Region, Window

__all__ = ["DoorbellSpec", "Layout", "MachineSpec", "MemorySpec", "Silence"]

#: Where the planner wants MSIs to be written: the architectural window of x86 (Intel SDM vol. 3,
#: "Message Signalled Interrupts": 0xfee00000, 1 MiB).
PREFERRED_DOORBELL = 0xFEE0_0000


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """The machine as asked: ``virt``, ``q35``, ``pc`` or ``custom``."""

    type: str
    #: QEMU version whose machine type is meant (``7.2``); empty means the newest in the tables.
    version: str = ""
    #: QEMU's ``-cpu`` text; empty means the machine's default.
    cpu: str = ""
    #: Machine options as QEMU spells them (``gic-version: "3"``, ``max-ram-below-4g``).
    options: Mapping[str, str] = field(default_factory=dict)
    #: Guest physical address bits (KVM's IPA limit, ``phys-bits``); None takes the CPU's own.
    address_bits: int | None = None


@dataclass(frozen=True, slots=True)
class MemorySpec:
    """Guest memory as asked."""

    size: int
    #: Ceiling for later hotplug (QEMU's maxmem); None means the size.
    max: int | None = None
    #: Memory slots; None lets the plan take what it needs.
    slots: int | None = None
    #: Size and alignment of a piece that the guest can online; None takes the guest's own rule.
    block: int | None = None
    #: Least amount of boot memory the firmware and guest need.
    boot_min: int | None = None
    pieces: Pieces = Pieces.AUTO


@dataclass(frozen=True, slots=True)
class DoorbellSpec:
    """Where the doorbell should be."""

    prefer: int = PREFERRED_DOORBELL
    #: A fixed place; RAM then goes around it.
    pin: int | None = None
    #: None takes what the hosts need, 1 MiB at least.
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Silence:
    """A finding its author knows of and does not want to see."""

    code: str
    reason: str
    loc: Loc | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """A guest as its author wants it."""

    name: str
    machine: MachineSpec
    memory: MemorySpec
    guest: Guest = UNKNOWN
    doorbell: DoorbellSpec = DoorbellSpec()
    reserve: Scope = Scope.HOST
    #: Host devices assigned at launch, PCI addresses in full form or platform names.
    devices: tuple[str, ...] = ()
    #: Host devices that must still fit when they are plugged later.
    hotplug: tuple[str, ...] = ()
    #: Host profile files to plan against when none is given, as written (relative to the file).
    hosts: tuple[str, ...] = ()
    #: Fixed regions of a custom machine.
    regions: tuple[Region, ...] = ()
    #: RAM and PCI windows of a custom machine.
    windows: tuple[Window, ...] = ()
    silence: tuple[Silence, ...] = ()
    #: Where each field stands, by dotted path: ``memory.size``, ``devices.0.host``.
    locs: Mapping[str, Loc] = field(default_factory=dict)
    file: str = ""
    #: SHA-256 of the file's bytes, hex.
    sha256: str = ""

    def where(self, path: str) -> Loc | None:
        """Return the place of a field, or of the nearest enclosing one."""
        while path:
            if path in self.locs:
                return self.locs[path]
            path = path.rpartition(".")[0]
        return self.locs.get("")

    @property
    def wanted(self) -> tuple[str, ...]:
        """Every host device the layout names, sorted."""
        return tuple(sorted({*self.devices, *self.hotplug}))
