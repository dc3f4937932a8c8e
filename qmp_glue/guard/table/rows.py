"""How the tables are written and read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

__all__ = ["NEWEST", "OLDEST", "Class", "Group", "Judge", "Row", "Table", "parse_version"]

Version = tuple[int, int]

#: The versions the tables were measured on lie between these.
OLDEST: Version = (7, 2)
NEWEST: Version = (11, 1)
OLDEST_EVER: Version = (0, 0)
NEWEST_EVER: Version = (1 << 30, 0)


class Class(StrEnum):
    """What becomes of a name."""

    HARMLESS = "harmless"
    #: It depends on the arguments and the map.
    JUDGED = "judged"
    REFUSED = "refused"


class Judge(StrEnum):
    """What a judged name is judged by."""

    #: ``device_add``: its driver and its arguments.
    DEVICE = "device"
    #: ``object-add``: its type.
    OBJECT = "object"
    #: ``qom-set``: its property.
    PROPERTY = "property"
    #: ``netdev_add`` and ``chardev-add``: their types.
    NETDEV = "netdev"
    CHARDEV = "chardev"
    #: A line of the human monitor.
    HUMAN = "human"
    #: Memory at an address: where is it?
    MEMORY = "memory"
    #: Memory in a BAR: the guest puts it anywhere in the PCI windows.
    RAM_BAR = "ram-bar"
    #: The same of an option ROM, which is not there with ``romfile=``.
    ROM_BAR = "rom-bar"
    #: CXL memory: the guest's decoders put it anywhere in the CXL windows.
    CXL = "cxl"
    #: A host device: which group is it in?
    ASSIGN = "assign"
    #: A host bridge with a DMA window of its own.
    DMA_WINDOW = "dma-window"
    #: A listening socket: is its path one of the guard's?
    LISTEN = "listen"
    #: A guest's state: a virtio-mem device may come back larger.
    STATE = "state"
    #: Its mode may be cpr-exec, which makes QEMU another program.
    MIGRATE = "migrate"
    #: A connection that is handed over or cut: a display's, a disk's, or the guard's own?
    CLIENT = "client"
    #: A way to memory and monitor past the guard: refused, and named where a QEMU starts with it.
    MONITOR = "monitor"
    #: Makes the board, as the command line says.
    BOARD = "board"


class Group(NamedTuple):
    """Names that share a class and its reason.

    A name may carry the versions it is meant for: ``name@10.0-``, ``name@-10.0``, ``name@8.0-9.2``;
    both ends belong to it.
    """

    kind: Class
    why: str
    names: str
    judge: Judge | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One name's class."""

    name: str
    kind: Class
    why: str
    judge: Judge | None = None
    since: Version = OLDEST_EVER
    until: Version = NEWEST_EVER


class Table:
    """Rows by name and version."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self._groups = groups

    def find(self, name: str, version: Version = NEWEST) -> Row | None:
        """Return the row of a name in a QEMU x.y, or None when it stands nowhere."""
        for group, versions in self._index.get(name, ()):
            row = _row(name, group, versions)
            if row.since <= version <= row.until:
                return row
        return None

    def __iter__(self) -> Iterator[Row]:
        for name, places in self._index.items():
            for group, versions in places:
                yield _row(name, group, versions)

    def __contains__(self, name: str) -> bool:
        return name in self._index

    @cached_property
    def _index(self) -> dict[str, tuple[tuple[Group, str], ...]]:
        # Names only: of a thousand rows a guard looks at ten.
        found: dict[str, tuple[tuple[Group, str], ...]] = {}
        for group in self._groups:
            for word in group.names.split():
                name, _, versions = word.partition("@")
                found[name] = (*found.get(name, ()), (group, versions))
        return found


def _row(name: str, group: Group, versions: str) -> Row:
    since, _, until = versions.partition("-")
    return Row(
        *(name, group.kind, group.why, group.judge),
        since=parse_version(since) if since else OLDEST_EVER,
        until=parse_version(until) if until else NEWEST_EVER,
    )


def parse_version(text: str) -> Version:
    """Read ``x.y``."""
    major, _, minor = text.partition(".")
    return int(major), int(minor)
