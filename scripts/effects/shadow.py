"""A shadow QEMU: paused, with a monitor, a qtest line for its PCI devices, and an eye on it.

What is seen of it from outside is what counts: the memory in its map, who answers at its sockets,
which host devices it opened, which program the process is.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import select
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from effects.pci import Pci, QtestLine
from effects.vhost import VhostBackend
from planner.region import Kind
from qmp_glue.errors import GarbageError
from qmp_glue.mtree import parse_mtree

__all__ = ["Effect", "Seen", "Shadow", "ShadowDiedError", "effects_between"]

#: Seconds for one answer; a command that blocks QEMU longer (it waits for a peer) ends the shadow.
PATIENCE = 20.0
#: Seconds in which a monitor greets or answers.
GREETING = 0.05
#: What VFIO maps (hw/vfio/listener.c ``vfio_listener_skipped_section()``, QEMU 10.0).
_MEMORY = frozenset({Kind.RAM, Kind.ROM, Kind.ROMD, Kind.NVRAM, Kind.RAMD})
_IN_OPEN = 0x20
_MONITOR = re.compile(rb'\{"QMP"|QEMU .* monitor|\(qemu\)|OK (little|big)|^[+$]')
_TREE_LINE = re.compile(r"\(prio -?\d+, ([a-z/-]+)\): (.*?)(?: \[disabled\])?$", re.MULTILINE)


class Effect(StrEnum):
    """What a command did."""

    MAP = "map"
    #: Memory where the guest programs a BAR.
    RAM_BAR = "ram-bar"
    #: The same, of a PCI option ROM.
    ROM_BAR = "rom-bar"
    MONITOR = "monitor"
    LISTENS = "listens"
    HOST_DEVICE = "host-device"
    PROGRAM = "program"
    DIES = "dies"


class ShadowDiedError(Exception):
    """QEMU ended, or answers no more."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What shows of a QEMU at one moment."""

    memory: frozenset[tuple[int, int, str]]
    listening: frozenset[str]
    #: Sockets behind which something like a monitor answered.
    monitors: frozenset[str]
    program: str


def effects_between(before: Seen, after: Seen) -> frozenset[Effect]:
    """Return what is new: memory that goes away harms nobody."""
    found = {
        Effect.MAP: after.memory - before.memory,
        Effect.LISTENS: after.listening - before.listening,
        Effect.MONITOR: after.monitors - before.monitors,
        Effect.PROGRAM: after.program != before.program,
    }
    return frozenset(effect for effect, new in found.items() if new)


class Opened:
    """Tells which of some files somebody opens (inotify(7))."""

    def __init__(self, paths: list[Path]) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self._paths = {}
        for path in paths:
            watch = self._libc.inotify_add_watch(self._fd, os.fsencode(path), _IN_OPEN)
            if watch < 0:
                raise OSError(ctypes.get_errno(), f"cannot watch {path}")
            self._paths[watch] = str(path)

    def since(self) -> set[str]:
        """Return the files opened since the last call."""
        found = set()
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._fd, 4096):
                while data:
                    watch, _, _, length = struct.unpack_from("iIII", data)
                    found.add(self._paths[watch])
                    data = data[16 + length :]
        return found

    def close(self) -> None:
        os.close(self._fd)


class Shadow:
    """One QEMU, for one experiment or for several without an effect."""

    def __init__(self, program: str, words: list[str], folder: Path, *, qtest: bool = True) -> None:
        self.folder = folder
        ours, theirs = socket.socketpair()
        line, line_theirs = socket.socketpair()
        fds = (theirs.fileno(), line_theirs.fileno())
        qtest_words = (
            *("-chardev", f"socket,id=qtest,fd={fds[1]}", "-qtest", "chardev:qtest"),
            *("-qtest-log", "/dev/null"),
        )
        command = [
            *(program, "-S", "-display", "none", "-nodefaults", "-no-user-config"),
            *("-chardev", f"socket,id=monitor,fd={fds[0]}", "-mon", "chardev=monitor,mode=control"),
            *(qtest_words if qtest else ()),
            *words,
        ]
        # A socket chardev connects at once.
        self._vhost = VhostBackend(folder / "vhost")
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed in close()
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            pass_fds=fds,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
        )
        theirs.close()
        line_theirs.close()
        self._sock, self._rest, self._line = ours, b"", QtestLine(line)
        ours.settimeout(PATIENCE)
        try:
            greeting = self._message(2 * PATIENCE)["QMP"]["version"]["qemu"]
            self.version = f"{greeting['major']}.{greeting['minor']}"
            self.ask("qmp_capabilities")
            self.pci = Pci(self._line, _ecam(self.human("info mtree -f"))) if qtest else None
        except ShadowDiedError:
            self._errors.seek(0)
            told = self._errors.read().decode(errors="replace")
            self.close()
            raise ShadowDiedError(told or "no answer", command) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._sock.close()
        self._line.close()
        self.process.kill()
        self.process.wait()
        self._errors.close()
        self._vhost.close()

    def _message(self, patience: float = PATIENCE) -> dict[str, Any]:
        end = time.monotonic() + patience
        while b"\n" not in self._rest:
            self._sock.settimeout(max(0.01, end - time.monotonic()))
            try:
                data = self._sock.recv(1 << 20)
            except OSError:
                data = b""
            if not data:
                raise ShadowDiedError
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found

    def execute(self, name: str, arguments: Mapping[str, object] | None = None) -> dict[str, Any]:
        """Run a command and return the whole reply.

        :raise ShadowDiedError: there was none.
        """
        told = {"execute": name, **({"arguments": arguments} if arguments else {})}
        try:
            self._sock.sendall(json.dumps(told).encode())
        except OSError:
            raise ShadowDiedError from None
        while "event" in (reply := self._message()):
            pass
        return reply

    def ask(self, name: str, **arguments: object) -> Any:
        reply = self.execute(name, arguments)
        if "return" not in reply:
            raise GarbageError(f"{name}: {reply['error']['desc']}")
        return reply["return"]

    def human(self, line: str) -> str:
        return str(self.ask("human-monitor-command", **{"command-line": line}))

    def program(self) -> str:
        """Return the program the process is; empty when it is none any more."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(1.0)
            return ""
        return str(Path(f"/proc/{self.process.pid}/exe").readlink())

    def seen(self, *, knock: bool = True) -> Seen:
        """Look at it.

        :param knock: see who answers at its sockets, which takes its time.
        :raise ShadowDiedError: it is gone.
        """
        listening = frozenset(_listening(self.process.pid))
        return Seen(
            memory=self.memory(),
            listening=listening,
            monitors=frozenset(at for at in listening if knock and _answers(at, self.folder)),
            program=str(Path(f"/proc/{self.process.pid}/exe").readlink()),
        )

    def memory(self) -> frozenset[tuple[int, int, str]]:
        return frozenset(
            (region.span.start, region.span.end, str(region.kind))
            for region in parse_mtree(self.human("info mtree -f"))
            if region.kind in _MEMORY
        )

    def tree(self) -> frozenset[tuple[str, str]]:
        """Return kind and name of memory anywhere in the tree, also switched off by its device."""
        text = self.human("info mtree -D").replace("\r", "")
        return frozenset(
            (kind, name)
            for kind, name in _TREE_LINE.findall(text)
            if kind in _MEMORY and not name.startswith("alias ")
        )


def _ecam(text: str) -> int | None:
    """Return where a generic PCIe host has its configuration space; None on a PC."""
    found = re.search(r"([0-9a-f]{16})-[0-9a-f]{16} .*: pcie-mmcfg-mmio", text)
    return int(found[1], 16) if found else None


def _listening(pid: int) -> Iterator[str]:
    """Yield what a process listens at: a path, or ``tcp:PORT``."""
    inodes = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            target = str(entry.readlink())
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        words = line.split()
        if words[3] == "00010000" and words[6] in inodes:
            yield words[7] if len(words) > 7 else "unnamed"
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and words[9] in inodes:
                yield f"tcp:{int(words[1].rpartition(':')[2], 16)}"


def _answers(at: str, folder: Path) -> bool:
    """Say whether a monitor, a qtest server or a gdb stub is behind a listening socket."""
    port = at.startswith("tcp:")
    sock = socket.socket(socket.AF_INET if port else socket.AF_UNIX)
    with sock:
        sock.setblocking(False)
        try:
            sock.settimeout(GREETING)
            sock.connect(("127.0.0.1", int(at[4:])) if port else str(folder / at))
            # Some greet; a qtest server answers the first, a gdb stub the second of these.
            sock.sendall(b"endianness\n$?#3f")
            end, data = time.monotonic() + GREETING, b""
            while (left := end - time.monotonic()) > 0 and select.select([sock], [], [], left)[0]:
                data += sock.recv(4096)
                if _MONITOR.search(data):
                    return True
                if not data:
                    break
        except OSError:
            return False
    return False
