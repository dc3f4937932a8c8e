"""Which machine families have tables."""

from __future__ import annotations

from planner.machine.machine import Machine
from planner.machine.pc import Pc
from planner.machine.request import NotModelledError
from planner.machine.virt import Virt

__all__ = ["MACHINES", "for_type"]

MACHINES: dict[str, Machine] = {"virt": Virt(), "q35": Pc("q35"), "pc": Pc("pc")}


def for_type(machine_type: str) -> Machine:
    """Return the family's model.

    :raise NotModelledError: there are no tables for it.
    """
    try:
        return MACHINES[machine_type]
    except KeyError:
        known = ", ".join(sorted(MACHINES))
        raise NotModelledError(
            f"machine '{machine_type}' is not in the machine tables, which know {known};"
            " the map of any other board comes from a probe"
        ) from None
