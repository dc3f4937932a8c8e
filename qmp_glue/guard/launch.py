"""Starts QEMU with a monitor that only the guard holds.

By default the monitor is one end of a socket pair. With a path, QEMU listens there instead, at a
socket made by the guard in a directory only its owner writes; the guard is the first to connect,
and QEMU serves one client at a time. Should the guard die, QEMU runs on, and the next guard
connects to that path; a socket pair cannot be found again.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Sequence
from typing import Final

from planner.argv.keyval import KeyvalError, is_json, parse_json, parse_keyval
from qmp_glue.addresses import MonitorAddress, connect
from qmp_glue.errors import StartError
from qmp_glue.guard.listening import listen
from qmp_glue.guard.table import objects
from qmp_glue.guard.table.rows import Judge

__all__ = ["launch", "options_of", "other_monitors", "words_of"]

_CHARDEV: Final = "guestmap-guard"
#: Options that give QEMU another monitor, or may, and those that let memory be written past it.
_MONITOR_OPTIONS: Final = frozenset(
    {"-monitor", "-mon", "-qmp", "-qmp-pretty", "-readconfig", "-gdb", "-qtest"}
)
#: The same without a value: -gdb tcp::1234, and -serial mon:stdio.
_ALONE: Final = frozenset({"-s", "-nographic"})
#: Options whose value may begin with ``mon:`` (system/vl.c ``serial_parse()``, QEMU 10.0).
_MULTIPLEXED: Final = frozenset({"-serial", "-parallel", "-debugcon"})


def options_of(argv: Sequence[str]) -> list[tuple[str, str, int]]:
    """Return each option's name with one dash, the word behind it, and where that stands.

    Which options take a value is not asked: a word may come twice, as a value and as an option.
    """
    return [
        (f"-{word.lstrip('-')}", argv[at] if at < len(argv) else "", at)
        for at, word in enumerate(argv[1:], start=2)
        if word.startswith("-")
    ]


def other_monitors(argv: Sequence[str], guarded: str = "") -> list[str]:
    """Return the options of *argv* that give QEMU a monitor beside the guard's.

    Whoever holds such a monitor is not guarded.

    :param guarded: id of the chardev whose monitor is the guard's.
    """
    return [
        name if name in _ALONE else f"{name} {value}"
        for name, value, _ in options_of(argv)
        if _is_monitor(name, value)
        and not (guarded and words_of(value, "chardev").get("chardev") == guarded)
    ]


def _is_monitor(name: str, value: str) -> bool:
    if name in _MULTIPLEXED:
        return value.startswith("mon:")
    if name == "-object":
        # What the guard would refuse of a running QEMU.
        row = objects.TABLE.find(words_of(value, "qom-type").get("qom-type", ""))
        return row is not None and row.judge is Judge.MONITOR
    return name in _ALONE or (name in _MONITOR_OPTIONS and value != "none")


def words_of(value: str, implied: str = "") -> dict[str, str]:
    """Read an option's ``key=value`` words, or JSON; none of a value that QEMU would refuse."""
    try:
        return parse_json(value) if is_json(value) else parse_keyval(value, implied)
    except KeyvalError:
        return {}


def launch(argv: Sequence[str], monitor: MonitorAddress | None = None) -> tuple[int, socket.socket]:
    """Start *argv* with the guard's monitor added; return its process id and the monitor.

    :param monitor: a path QEMU listens at; None for a socket pair.
    :raise GlueError: the path cannot be used, or QEMU cannot be started.
    """
    if monitor:
        theirs = listen(monitor)
        ours = connect(monitor)
        chardev = f"socket,id={_CHARDEV},fd={theirs.fileno()},server=on,wait=off"
    else:
        ours, theirs = socket.socketpair()
        chardev = f"socket,id={_CHARDEV},fd={theirs.fileno()}"
    command = [*argv, "-chardev", chardev, "-mon", f"chardev={_CHARDEV},mode=control"]
    if not any(option.lstrip("-") in {"nodefaults", "monitor", "mon", "qmp"} for option in argv):
        # QEMU would make a human monitor of its own.
        command += ["-monitor", "none"]
    with theirs:
        try:
            process = subprocess.Popen(
                command,
                pass_fds=(theirs.fileno(),),
                # A terminal's Ctrl-C and the guard's own end must not reach QEMU.
                start_new_session=True,
            )
        except OSError as exc:
            ours.close()
            raise StartError(f"cannot start {argv[0]}: {exc.strerror or exc}") from exc
    # Who waits for it is the holder that this process becomes.
    process.returncode = 0
    return process.pid, ours
