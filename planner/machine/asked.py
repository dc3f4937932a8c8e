"""What somebody asks for, whatever it was written in: a layout, a command line, a domain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from planner.machine.family import Machine, for_type
from planner.machine.request import (
    Backend,
    MachineRefusedError,
    MachineRequest,
    NotModelledError,
)
from planner.region import GuestMap, Loc

__all__ = ["Asked", "HostDevice", "MapRead"]


@dataclass(frozen=True, slots=True)
class MapRead:
    """The map of what is asked for, by the tables or by a real QEMU."""

    map: GuestMap
    #: What was left out to read it, in the words of who asked.
    left_out: tuple[str, ...] = ()
    #: Warnings QEMU printed.
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HostDevice:
    """A host device that the guest gets."""

    #: PCI address in full form or platform name; empty when it cannot be told (``fd=``).
    host: str
    #: As it was asked for, for messages.
    words: str = ""
    loc: Loc | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A guest as it is asked for."""

    #: The machine, or why the tables cannot tell it.
    wanted: MachineRequest | MachineRefusedError | NotModelledError
    #: Host devices: at launch first, then those to be plugged later.
    devices: tuple[HostDevice, ...] = ()
    #: The backends that guest memory is made of, where they are given.
    backends: tuple[Backend, ...] = ()
    #: NUMA nodes that surely have neither CPUs nor boot memory, and are not the last.
    empty_nodes: frozenset[int] = frozenset()
    #: What the kernel that QEMU loads itself is told; None where the guest has its own.
    kernel_line: str | None = None
    #: A board that no tables know, drawn by its author.
    board: Machine | None = None

    @property
    def request(self) -> MachineRequest:
        """What the machine tables are asked.

        :raise MachineRefusedError: QEMU would refuse it.
        :raise NotModelledError: something of it moves the map and is not in the tables.
        """
        if isinstance(self.wanted, Exception):
            raise self.wanted
        return self.wanted

    @property
    def machine(self) -> Machine:
        """The model of the machine; errors as :attr:`request`."""
        return self.board or for_type(self.request.type)

    def build(self) -> GuestMap:
        """Return the map by the tables; errors as :attr:`request`."""
        return self.machine.build(self.request)

    @property
    def places(self) -> Mapping[str, Loc | None]:
        """Where each host device that has a name is asked for."""
        return {device.host: device.loc for device in self.devices if device.host}
