"""What concerns QEMU's process: sockets it makes, connections it takes, programs it becomes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from qmp_glue.guard.case import Case
from qmp_glue.guard.table import chardevs
from qmp_glue.guard.table.rows import Class
from qmp_glue.guard.values import Json
from qmp_glue.guard.verdicts import CannotJudgeError, NotAllowedError, Pass, Verdict

__all__ = ["add_chardev", "hand_over", "listen_somewhere", "migrate"]

#: Modes of a migration that leave QEMU the program it is (qapi/migration.json ``MigMode``, 11.1).
_MODES: Final = frozenset({"normal", "cpr-reboot", "cpr-transfer"})
#: What a connection may be handed to (qapi/misc.json ``add_client``, 11.1): displays. Any other
#: name is a chardev's, and behind a chardev may be a monitor.
_DISPLAYS: Final = frozenset({"vnc", "spice", "@dbus-display"})
#: What else of a connection may be ended (qapi/yank.json ``YankInstanceType``, 11.1).
_YANKED: Final = frozenset({"block-node", "migration"})


async def listen_somewhere(case: Case, arguments: dict[str, Json]) -> Verdict:
    """Judge what may listen: QEMU removes what is at its path."""
    if not case.options.sockets:
        return Pass("the guard has no sockets in the file system")
    pid = (await case.qemu()).pid
    folder = Path(f"/proc/{pid}/cwd") if pid else Path()
    for text in _texts(arguments):
        for path in _paths(text, folder):
            if any(_same(path, socket) for socket in case.options.sockets):
                raise NotAllowedError(f"'{text}' is the place of a socket of the guard's own")
    return Pass("not at a place of the guard's")


async def add_chardev(case: Case, arguments: dict[str, Json]) -> Verdict:
    """Judge a ``chardev-add`` or ``chardev-change``."""
    backend = arguments.get("backend")
    kind = backend.get("type") if isinstance(backend, dict) else backend
    if not isinstance(kind, str):
        raise CannotJudgeError("the chardev has no type")
    row = case.allowed(chardevs.TABLE.find(kind, case.version), f"chardev '{kind}'")
    if row.kind is Class.HARMLESS:
        return Pass(row.why)
    return await listen_somewhere(case, arguments)


async def hand_over(case: Case, arguments: dict[str, Json]) -> Verdict:
    """Judge an ``add_client``, which hands a connection over, or a ``yank``, which ends some."""
    del case
    instances = arguments.get("instances")
    if isinstance(instances, list):
        for each in instances:
            if not isinstance(each, dict) or each.get("type") not in _YANKED:
                raise NotAllowedError("yank of a chardev: it may be the guard's own connection")
        return Pass("ends no monitor")
    protocol = arguments.get("protocol")
    if protocol not in _DISPLAYS:
        raise NotAllowedError(f"a connection for '{protocol}': no display, and maybe a monitor")
    return Pass("a connection for a display")


async def migrate(case: Case, arguments: dict[str, Json]) -> Verdict:
    """Judge a ``migrate``, or what sets its parameters: the mode may make QEMU another program."""
    mode = arguments.get("mode")
    # Only since 8.2 there are modes.
    if mode is None and case.version >= (8, 2):
        mode = (await case.asks.execute("query-migrate-parameters")).get("mode")
    if mode is None or mode in _MODES or case.options.allow_exec:
        return Pass("QEMU stays the program it is")
    raise NotAllowedError(f"migration mode '{mode}' makes QEMU another program (--allow-exec)")


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)


def _paths(text: str, folder: Path) -> Iterator[Path]:
    """Yield the places a text may mean: as it stands, and behind ``unix:`` up to a comma."""
    for each in {text, text.removeprefix("unix:").partition(",")[0], text.rpartition(":")[2]}:
        if each and "\0" not in each:
            yield folder / each
            yield Path(each)


def _same(path: Path, socket: Path) -> bool:
    try:
        return path.samefile(socket)
    except OSError:
        return path.resolve() == socket.resolve()
