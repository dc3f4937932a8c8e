"""Versions of machine types and of QEMU itself.

A machine type's version freezes what a guest sees; the version of the program decides which
options exist, which checks are made and, for a few layouts, what an old machine type means.
"""

from __future__ import annotations

import re

from planner.machine.request import MachineRefusedError, MachineRequest, NotModelledError

__all__ = ["NEWEST", "ROWS", "Version", "machine_version", "parse_version", "qemu_version"]

#: ``(major, minor)``; the micro version never moves the map, ``4.0.1`` counts as 4.0.
Version = tuple[int, int]

#: Versions QEMU made machine types for: hw/arm/virt.c and hw/i386/pc_q35.c, the macros
#: DEFINE_VIRT_MACHINE and DEFINE_Q35_MACHINE, up to QEMU 11.1.
ROWS: tuple[Version, ...] = (
    *((2, minor) for minor in range(4, 13)),
    *((3, minor) for minor in range(2)),
    *((major, minor) for major in range(4, 12) for minor in range(3)),
)
NEWEST: Version = (11, 1)

_TEXT = re.compile(r"(\d+)\.(\d+)(\.\d+)*\Z")


def parse_version(text: str) -> Version:
    """Read ``7.2`` or ``7.2.22``.

    :raise NotModelledError: the text is not a version.
    """
    match = _TEXT.match(text)
    if not match:
        raise NotModelledError(f"'{text}' is not a QEMU version such as 7.2")
    return int(match[1]), int(match[2])


def qemu_version(request: MachineRequest) -> Version:
    """Return the version of the program that is asked.

    :raise NotModelledError: the tables were not made for it.
    """
    if request.qemu:
        version = parse_version(request.qemu)
    elif request.version:
        version = max(parse_version(request.version), (7, 2))
    else:
        version = NEWEST
    if not (7, 2) <= version <= NEWEST:
        shown = f"{version[0]}.{version[1]}"
        raise NotModelledError(f"the machine tables know QEMU 7.2 to 11.1, not {shown}")
    return version


def machine_version(request: MachineRequest, oldest: Version) -> Version:
    """Return the version of the machine type; the program's own when none was asked.

    :raise MachineRefusedError: that program has no such machine type.
    :raise NotModelledError: the tables do not know it.
    """
    program = qemu_version(request)
    if not request.version:
        return program
    version = parse_version(request.version)
    if version > program:
        raise MachineRefusedError(
            f"unsupported machine type '{request.type}' version {request.version}"
            f" in QEMU {program[0]}.{program[1]}",
            "ask for a machine version that this QEMU has, or for a newer QEMU",
        )
    if version not in ROWS or version < oldest:
        raise NotModelledError(
            f"the machine tables know {request.type} from version {oldest[0]}.{oldest[1]} on,"
            f" not {request.version}"
        )
    return version
