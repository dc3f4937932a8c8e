"""Keeps what a VM would lose with its guard, and starts the guard anew.

Run by its path, with Python's own library alone: ``python -I -S holder.py JSON``. The JSON holds
descriptors by name (``listen``, ``qmp``, ``client``, memory and pipes), ``guard``, the pid of the
first guard, which is a child, ``control``, a socket to it, ``qemu``, QEMU's pid where that is a
child, too, and ``command``, which starts the next guard.

Nothing is read and nothing is judged here. The guard asks for two things: ``accept`` a client, so
that its connection is here before it is there, and let go of it (``gone``). It is told QEMU's exit
status. It ends the holder by ending with a status of its own; a signal or a bug's status (70) does
not, and the next guard finds everything as it was.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import select
import signal
import socket
import sys
import time
from typing import Any

_BUG = 70
_STOPPING = (signal.SIGTERM, signal.SIGINT)


class Holder:
    """What is held, and the guard it is held for."""

    def __init__(self, held: dict[str, Any]) -> None:
        """Take over the descriptors, and the children, that *held* names."""
        self.command = held.pop("command")
        self.guard = held.pop("guard")
        self.qemu = held.pop("qemu")
        self.started = held.pop("started")
        self.control = socket.socket(fileno=held.pop("control"))
        self.held: dict[str, int] = held
        self.listener = socket.socket(fileno=held["listen"])
        self.status: int | None = None
        self.stop = 0
        self.since = time.monotonic()
        self.quick = 0

    def run(self) -> int:
        """Hold until a guard ends with a status of its own; return it."""
        read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
        self._reap()
        while self.guard:
            ready, _, _ = select.select([read, self.control.fileno()], [], [], 1.0)
            if read in ready:
                os.read(read, 4096)
            if self.control.fileno() in ready:
                self._serve()
            ended = self._reap()
            if ended is not None:
                return ended
        return _BUG

    def _note(self, number: int, _frame: object) -> None:
        if number != signal.SIGCHLD:
            self.stop = number
            self._pass_on()

    def _pass_on(self) -> None:
        if self.stop and self.guard:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.guard, self.stop)

    def _serve(self) -> None:
        try:
            asked = self.control.recv(64, socket.MSG_DONTWAIT)
        except OSError:
            return
        if not asked:
            # The guard is gone, or about to be; its end says how it goes on.
            time.sleep(0.01)
        elif asked == b"gone":
            self._let_go()
        elif asked == b"accept":
            self._accept()

    def _let_go(self) -> None:
        client = self.held.pop("client", None)
        if client is not None:
            os.close(client)

    def _accept(self) -> None:
        self._let_go()
        try:
            made, _ = self.listener.accept()
        except OSError:
            self._tell(b"none")
            return
        self.held["client"] = made.detach()
        self._tell(b"client", self.held["client"])

    def _tell(self, word: bytes, *fds: int) -> None:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        with contextlib.suppress(OSError):
            self.control.sendmsg([word], rights)

    def _reap(self) -> int | None:
        """Take in who has ended; return the exit status when it is over."""
        while True:
            try:
                pid, word = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return None
            if not pid:
                return None
            status = os.waitstatus_to_exitcode(word)
            if pid == self.qemu:
                self.status = status
                self._tell(b"status %d" % status)
            elif pid == self.guard:
                if status >= 0 and status != _BUG:
                    return status
                self._start()

    def _start(self) -> None:
        """Start the next guard; one that dies at once is not started without end."""
        self.quick = self.quick + 1 if time.monotonic() - self.since < 1 else 0
        if self.quick > 5:
            time.sleep(1)
        self.since = time.monotonic()
        self.control.close()
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        told = {**self.held, "control": theirs.fileno(), "qemu": self.qemu}
        told["started"] = self.started
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
        self.guard = os.fork()
        if not self.guard:
            signal.set_wakeup_fd(-1)
            for fd in (*self.held.values(), theirs.fileno()):
                os.set_inheritable(fd, True)
            environment = {**os.environ, "GUESTMAP_GUARD_HELD": json.dumps(told)}
            try:
                os.execve(self.command[0], self.command, environment)
            finally:
                os._exit(_BUG)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
        theirs.close()
        if self.status is not None:
            self._tell(b"status %d" % self.status)
        self._pass_on()


if __name__ == "__main__":
    sys.exit(Holder(json.loads(sys.argv[1])).run())
