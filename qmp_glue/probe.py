"""Start a QEMU paused, read its map, end it.

The program is started with an argument list, never by a shell, in a process group of its own that
is killed at the end, whatever the end is; the kernel kills it too if this process dies first. Its
monitor is one end of a socket pair, backends live in memory, so nothing is left on disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from planner.argv.keyval import Size, emit_keyval
from planner.argv.line import CommandLine, parse_argv
from planner.machine.asked import MapRead
from planner.region import GuestMap
from qmp_glue.errors import GlueError, LostError, SilentError, StartError
from qmp_glue.files import FILES
from qmp_glue.paused import FileBackend, Paused, paused
from qmp_glue.reading import read_map
from qmp_glue.session import Session

__all__ = ["probe", "probe_line"]

#: Seconds a QEMU gets to open its monitor. Building a machine takes some 50 ms.
START_SECONDS = 10.0
_EXIT_SECONDS = 1.0
_MOST_WORDS = 2000
_MONITOR = "guestmap-monitor"


def probe(words: Sequence[str], seconds: float = START_SECONDS) -> MapRead:
    """Return the real map of a command line.

    :param words: program and options.
    :param seconds: how long QEMU may take to open its monitor.
    :raise ArgvError: the command line cannot be read or filtered.
    :raise GlueError: the program is missing, refuses, never answers or answers nonsense.
    """
    return probe_line(parse_argv(words, FILES), seconds)


def probe_line(line: CommandLine, seconds: float = START_SECONDS) -> MapRead:
    """Return the real map of a command line already read; as :func:`probe`."""
    start = paused(line)
    with tempfile.TemporaryFile() as words, _started(start, words) as (process, monitor):
        try:
            found = asyncio.run(_read(monitor, line.program, seconds))
        except (LostError, SilentError) as error:
            raise _explain(error, process, words, line.program) from None
        return MapRead(found, start.left_out, tuple(_said(words, line.program)))


async def _read(monitor: socket.socket, program: str, seconds: float) -> GuestMap:
    async with await Session.open(monitor, program, seconds) as session:
        return await read_map(session, "probe")


@contextlib.contextmanager
def _started(
    start: Paused, words: IO[bytes]
) -> Iterator[tuple[subprocess.Popen[bytes], socket.socket]]:
    """Start the program; kill its whole process group when the block is left."""
    program = shutil.which(start.argv[0])
    if program is None:
        raise StartError(
            f"{start.argv[0]}: no such program, or it may not be executed",
            "name a QEMU program by its path, or one that is found in PATH",
        )
    ours, theirs = socket.socketpair()
    with contextlib.ExitStack() as stack:
        stack.callback(ours.close)
        stack.callback(theirs.close)
        descriptors = [theirs.fileno()]
        argv = list(start.argv)
        for backend in start.files:
            descriptor = _empty_file(backend)
            stack.callback(os.close, descriptor)
            descriptors.append(descriptor)
            argv += ["-object", _file_backend(backend, descriptor)]
        argv += start.devices
        argv += ["-chardev", f"socket,id={_MONITOR},fd={theirs.fileno()}"]
        argv += ["-mon", f"chardev={_MONITOR},mode=control"]
        process = _spawn(program, argv, descriptors, words)
        stack.callback(_end, process)
        theirs.close()
        yield process, ours


def _spawn(
    program: str, argv: Sequence[str], descriptors: Sequence[int], words: IO[bytes]
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            argv,
            executable=program,
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=words,
            pass_fds=descriptors,
            start_new_session=True,
            preexec_fn=_die_with(os.getpid()),  # noqa: PLW1509  # no threads here
        )
    except OSError as error:
        raise StartError(
            f"{program}: cannot be started: {error.strerror}", "is it a program for this machine?"
        ) from None


def _die_with(parent: int) -> Callable[[], None]:
    """Return what the child does before it becomes QEMU: ask to be killed when we die.

    prctl(PR_SET_PDEATHSIG), linux/prctl.h. Without it a kill -9 of guestmap would leave a QEMU.
    """
    prctl = ctypes.CDLL(None).prctl

    def child() -> None:
        prctl(1, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return child


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the process group and wait; a paused guest has nothing to save."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _empty_file(backend: FileBackend) -> int:
    """Make a file in memory of the backend's size; it has no pages until somebody writes."""
    descriptor = os.memfd_create(f"guestmap-{backend.id}")
    try:
        os.ftruncate(descriptor, backend.size)
    except (OSError, OverflowError) as error:
        os.close(descriptor)
        raise StartError(
            f"memory backend '{backend.id}' of {backend.size:#x} bytes: {error}"
        ) from None
    return descriptor


def _file_backend(backend: FileBackend, descriptor: int) -> str:
    keys: dict[str, str | int] = {"qom-type": "memory-backend-file", "id": backend.id}
    keys |= {"size": Size(backend.size), "mem-path": f"/proc/self/fd/{descriptor}"}
    keys["reserve"] = "off"
    if backend.align > 4096:
        keys["align"] = Size(backend.align)
    return emit_keyval(keys, "qom-type")


def _said(words: IO[bytes], program: str) -> Iterator[str]:
    """Yield the lines the program printed, without its own name in front."""
    # The end tells why it stopped.
    words.seek(max(words.seek(0, os.SEEK_END) - _MOST_WORDS, 0))
    text = words.read(_MOST_WORDS).decode("utf-8", "replace")
    name = Path(program).name
    for line in text.splitlines():
        plain = line.strip()
        for prefix in (program, name):
            plain = plain.removeprefix(f"{prefix}: ")
        # QEMU 11.1 warns that -mon is deprecated; 7.2 knows nothing else.
        if plain and _MONITOR not in plain:
            yield plain


def _explain(
    error: GlueError, process: subprocess.Popen[bytes], words: IO[bytes], program: str
) -> GlueError:
    """Turn a lost connection into why the program ended, where it says so."""
    if isinstance(error, SilentError):
        return SilentError(
            f"{program}: started, but its monitor did not answer in time ({error.message})",
            "is it a QEMU system emulator?",
        )
    try:
        code = process.wait(_EXIT_SECONDS)
    except subprocess.TimeoutExpired:
        return LostError(
            f"{program}: closed its monitor without a word and goes on running",
            "is it a QEMU system emulator?",
        )
    lines = list(_said(words, program))
    errors = [line for line in lines if "warning:" not in line]
    said = "\n".join(errors or lines)
    if code < 0:
        name = signal.Signals(-code).name if -code in signal.valid_signals() else str(-code)
        return LostError(f"{program}: ended by {name}" + (f": {said}" if said else ""))
    if code == 0:
        return StartError(
            f"{program}: ended without opening its monitor" + (f": {said}" if said else ""),
            "is it a QEMU system emulator?",
        )
    if not said:
        return StartError(f"{program}: ended with exit code {code} and said nothing")
    return StartError(
        f"{program}: refused to start: {said}", "the words are QEMU's own; mend the command line"
    )
