"""Versions of machine types and of QEMU itself.

A machine type's version freezes what a guest sees; the version of the program decides which
options exist, which checks are made and, for a few layouts, what an old machine type means.
"""

from __future__ import annotations

import re

from planner.machine.request import MachineRefusedError, MachineRequest, NotModelledError

__all__ = [
    "KNOWN_QEMUS",
    "NEWEST",
    "OLDEST",
    "ROWS",
    "QemuRelease",
    "machine_version",
    "parse_version",
    "qemu_version",
    "show_release",
]

#: ``(major, minor)``; the micro version never moves the map, ``4.0.1`` counts as 4.0.
QemuRelease = tuple[int, int]

#: The programs that the tables were made for.
OLDEST: QemuRelease = (7, 2)
NEWEST: QemuRelease = (11, 1)

#: Versions QEMU made machine types for: hw/arm/virt.c and hw/i386/pc_q35.c, the macros
#: DEFINE_VIRT_MACHINE and DEFINE_Q35_MACHINE: three a year since 4.0.
ROWS: tuple[QemuRelease, ...] = (
    *((2, minor) for minor in range(4, 13)),
    *((3, minor) for minor in range(2)),
    *((year, minor) for year in range(4, NEWEST[0] + 1) for minor in range(3)),
)


def show_release(release: QemuRelease) -> str:
    """Return a version as people write it, ``7.2``."""
    return f"{release[0]}.{release[1]}"


#: The programs in words, for messages.
KNOWN_QEMUS = f"QEMU {show_release(OLDEST)} to {show_release(NEWEST)}"

_TEXT = re.compile(r"(\d+)\.(\d+)(\.\d+)*\Z")


def parse_version(text: str) -> QemuRelease:
    """Read ``7.2`` or ``7.2.22``.

    :raise NotModelledError: the text is not a version.
    """
    match = _TEXT.match(text)
    if not match:
        raise NotModelledError(f"'{text}' is not a QEMU version such as 7.2")
    return int(match[1]), int(match[2])


def qemu_version(request: MachineRequest) -> QemuRelease:
    """Return the version of the program that is asked.

    :raise NotModelledError: the tables were not made for it.
    """
    if request.qemu:
        version = parse_version(request.qemu)
    elif request.version:
        version = max(parse_version(request.version), OLDEST)
    else:
        version = NEWEST
    if not OLDEST <= version <= NEWEST:
        raise NotModelledError(
            f"the machine tables know {KNOWN_QEMUS}, not {show_release(version)}"
        )
    return version


def machine_version(request: MachineRequest, oldest: QemuRelease) -> QemuRelease:
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
            f" in QEMU {show_release(program)}",
            "ask for a machine version that this QEMU has, or for a newer QEMU",
        )
    if version not in ROWS or version < oldest:
        raise NotModelledError(
            f"the machine tables know {request.type} from version {show_release(oldest)} on,"
            f" not {request.version}"
        )
    return version
