"""How many CPUs a command line asks for."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from planner.machine.request import MachineRefusedError

__all__ = ["parse_smp"]

_TOPOLOGY = ("drawers", "books", "sockets", "dies", "clusters", "modules", "cores", "threads")


def parse_smp(given: Mapping[str, str]) -> tuple[int, int]:
    """Return CPUs present and the most there may be.

    hw/core/machine-smp.c ``machine_parse_smp_config()``, QEMU 7.2: what is left out follows from
    the rest.

    :param given: the keys of ``-smp``.
    :raise MachineRefusedError: a number is none.
    """
    numbers: dict[str, int] = {}
    for key, value in given.items():
        if key not in {"cpus", "maxcpus", *_TOPOLOGY}:
            continue
        if not value.isdecimal() or not int(value):
            raise MachineRefusedError(
                f"Invalid CPU topology: CPU topology parameters must be greater than zero"
                f" ({key}={value})"
            )
        numbers[key] = int(value)
    product = prod(numbers.get(key, 1) for key in _TOPOLOGY)
    cpus, most = numbers.get("cpus"), numbers.get("maxcpus")
    if cpus is None and most is None:
        return product, product
    if most is None:
        whole = {"sockets", "cores", "threads"} <= numbers.keys()
        most = product if whole else max(cpus or 1, 1)
    return cpus or most, most
