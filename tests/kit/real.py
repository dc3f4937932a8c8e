"""A real QEMU, paused, for one test: started, reached over a socket, ended whatever happens."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from click.testing import Result

from kit import ROOT, cli_runner
from planner.cli import group


def need(program: str) -> str:
    """Return the program's path; without it the test fails, it is not skipped."""
    found = shutil.which(program)
    if found is None:
        pytest.fail(f"{program} is not installed; scripts/test says which packages are needed")
    return found


@contextlib.contextmanager
def paused_qemu(argv: Sequence[str]) -> Iterator[str]:
    """Start QEMU paused and yield its monitor's address, ``unix:PATH``."""
    need(argv[0])
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        # The socket listens before QEMU starts, so nobody has to wait for it to appear.
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(folder / "qmp"))
        listener.listen(1)
        words = [*argv, "-S", "-display", "none", "-nodefaults"]
        words += ["-chardev", f"socket,id=q,fd={listener.fileno()},server=on,wait=off"]
        words += ["-mon", "chardev=q,mode=control"]
        errors = stack.enter_context((folder / "stderr").open("w+b"))
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stderr=errors, pass_fds=[listener.fileno()]
        )
        stack.callback(process.wait)
        stack.callback(process.kill)
        with contextlib.suppress(subprocess.TimeoutExpired):
            # A refused command line ends QEMU within this time; a good one goes on.
            process.wait(0.2)
            pytest.fail(f"QEMU did not start: {(folder / 'stderr').read_text()}\n{words}")
        yield f"unix:{folder / 'qmp'}"


def guestmap(*words: str, cwd: Path = ROOT) -> Result:
    """Run a command in this process; its exit code is the command's own."""
    with contextlib.chdir(cwd):
        result = cli_runner().invoke(group, list(words), standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result


def code_of(result: Result) -> int:
    return int(result.return_value or 0)
