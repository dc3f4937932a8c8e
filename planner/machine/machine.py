"""The one interface every machine family has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from planner.machine.request import MachineRequest
from planner.region import GuestMap
from planner.span import SpanSet

__all__ = ["Machine"]


class Machine(Protocol):
    """A machine family: what QEMU makes of a request, and which levers it has."""

    def build(self, request: MachineRequest) -> GuestMap:
        """Return the map QEMU would make, every region of its flat view and the windows.

        Plugged memory devices are regions named by their id.

        :raise MachineRefusedError: QEMU would not start it.
        :raise NotModelledError: the tables do not know what QEMU would do.
        """
        ...

    def boot_ram(self, guest: GuestMap) -> tuple[str, ...]:
        """Return the names of the boot RAM regions, in the order ``-m`` fills them."""
        ...

    def variants(self, request: MachineRequest, forbidden: SpanSet) -> Iterable[MachineRequest]:
        """Yield the request as asked, then with each lever that could move RAM off *forbidden*.

        The order is the order of preference: what changes the machine least comes first. Sizes are
        not varied here; placement does that.
        """
        ...

    def default_block(self, request: MachineRequest) -> int:
        """Return the size and alignment a hotplugged piece needs so that Linux onlines it."""
        ...
