"""How many CPUs a command line asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod

from planner.argv.split import Option
from planner.machine.request import MachineRefusedError

__all__ = ["parse_smp"]

_TOPOLOGY = ("drawers", "books", "sockets", "dies", "clusters", "modules", "cores", "threads")


def parse_smp(options: Iterable[Option], machine: Mapping[str, str]) -> tuple[int, int]:
    """Return CPUs present and the most there may be.

    hw/core/machine-smp.c ``machine_parse_smp_config()``, QEMU 7.2: what is left out follows from
    the rest.

    :param machine: ``-M`` keys, for ``smp.cpus=`` and its like.
    :raise MachineRefusedError: a number is none.
    """
    given = {key[4:]: value for key, value in machine.items() if key.startswith("smp.")}
    for option in options:
        given |= option.keys("cpus")
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
