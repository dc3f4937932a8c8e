"""Stands in for QEMU where libvirt starts it: the guard takes over the monitor libvirt made.

libvirt listens at a socket of its own making and hands QEMU the descriptor
(``-chardev socket,id=charmonitor,fd=N,server=on,wait=off -mon chardev=charmonitor,mode=control``,
src/qemu/qemu_command.c ``qemuBuildChardevCommand()``, libvirt 9.0; ``-object monitor-qmp`` in the
place of ``-mon``, libvirt 12.8 with QEMU 11.1). The guard keeps that descriptor and gives QEMU one
end of a socket pair instead. This process becomes QEMU, so that the pid libvirt
watches, confines and kills is QEMU's; the guard is what is forked off.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

from qmp_glue.errors import StartError
from qmp_glue.guard.launch import options_of, other_monitors, words_of

__all__ = ["Handover", "Takeover", "become_qemu", "take_over"]

#: What only asks QEMU about itself.
_QUESTIONS: Final = frozenset({"-version", "-h", "-help"})
_MACHINE_OPTIONS: Final = frozenset({"-M", "-machine"})
_HELP: Final = "--libvirt is for libvirt's <emulator>; otherwise give --listen"


@dataclass(frozen=True, slots=True)
class Takeover:
    """The monitor in a QEMU command line that the guard takes over."""

    argv: tuple[str, ...]
    #: Where in *argv* the value of its ``-chardev`` stands.
    place: int
    #: The chardev's id.
    chardev: str
    #: The descriptor somebody listens at already.
    listen_fd: int

    def command(self, fd: int) -> list[str]:
        """Return the command line with *fd*, already connected, as that monitor."""
        words = list(self.argv)
        words[self.place] = f"socket,id={self.chardev},fd={fd}"
        return words


@dataclass(frozen=True, slots=True)
class Handover:
    """What the guard's process got."""

    #: Where clients connect.
    listen_fd: int
    #: Connected to QEMU.
    qmp_fd: int
    qemu_pid: int
    #: Options that give QEMU another monitor, which is not guarded.
    others: tuple[str, ...] = ()


def take_over(argv: Sequence[str]) -> Takeover | None:
    """Find the monitor to take over; None when QEMU is only asked what it can do.

    :raise StartError: QEMU would run a guest, and has no such monitor, or more than one.
    """
    options = options_of(argv)
    control = [_controlled(option, value) for option, value, _ in options]
    found = [
        Takeover(tuple(argv), place, words["id"], int(words["fd"]))
        for option, value, place in options
        if option == "-chardev"
        and value.startswith("socket,")
        and (words := words_of(value)).get("id", "") in filter(None, control)
        and words.get("fd", "").isdecimal()
        and words.get("server") == "on"
    ]
    if len(found) == 1:
        return found[0]
    if not found and any(
        option in _QUESTIONS
        or (option in _MACHINE_OPTIONS and value.removeprefix("type=").split(",")[0] == "none")
        for option, value, _ in options
    ):
        return None
    raise StartError(
        f"{argv[0]} is given {len(found)} control monitors at listening descriptors (-chardev"
        " socket,id=ID,fd=N,server=on -mon chardev=ID,mode=control, or -object"
        " monitor-qmp,chardev=ID); the guard takes over one",
        _HELP,
    )


def _controlled(option: str, value: str) -> str:
    """Return the id of the chardev that an option makes a control monitor of; empty for none."""
    if option == "-mon":
        words = words_of(value, "chardev")
        wanted = words.get("mode") == "control"
    else:
        words = words_of(value, "qom-type") if option == "-object" else {}
        wanted = words.get("qom-type") == "monitor-qmp"
    return words.get("chardev", "") if wanted else ""


def become_qemu(argv: Sequence[str]) -> Handover:
    """Become QEMU; return only in a second process, which is to be the guard.

    That process keeps its standard streams and the two sockets, nothing else: a descriptor of a
    device that QEMU lets go must not stay open here.

    :raise StartError: there is no monitor to take over, or QEMU cannot be started.
    """
    taken = take_over(argv)
    if taken is None:
        _execute(argv)
    _check_listening(taken.listen_fd)
    others = tuple(other_monitors(argv, taken.chardev))
    qemu_pid = os.getpid()
    try:
        ours, theirs = socket.socketpair()
        child = os.fork()
    except OSError as exc:
        raise StartError(f"cannot start the guard: {exc.strerror or exc}") from exc
    if child:
        os.waitpid(child, 0)
        ours.close()
        # Else QEMU would keep it, and clients of a dead guard would wait for ever.
        os.close(taken.listen_fd)
        os.set_inheritable(theirs.fileno(), True)
        _execute(taken.command(theirs.fileno()))
    # Twice, so that QEMU has no child it knows nothing of.
    if os.fork():
        os._exit(0)
    os.setsid()
    theirs.close()
    _close_all_but(taken.listen_fd, ours.fileno())
    os.set_inheritable(taken.listen_fd, False)
    return Handover(taken.listen_fd, ours.detach(), qemu_pid, others)


def _check_listening(fd: int) -> None:
    try:
        with socket.socket(fileno=os.dup(fd)) as sock:
            listening = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as exc:
        raise StartError(f"descriptor {fd} is no socket: {exc.strerror}", _HELP) from exc
    if not listening:
        raise StartError(f"nobody listens at descriptor {fd}", _HELP)


def _close_all_but(*fds: int) -> None:
    start = 3
    for fd in sorted(fds):
        os.closerange(start, fd)
        start = max(start, fd + 1)
    os.closerange(start, 1 << 20)


def _execute(argv: Sequence[str]) -> NoReturn:
    # Python ignores these; a program expects them as they are by default.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(argv[0], list(argv))
    except OSError as exc:
        raise StartError(f"cannot start {argv[0]}: {exc.strerror or exc}") from exc
