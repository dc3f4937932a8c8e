"""A QEMU with two monitors, and a guard in a thread in front of one of them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from kit import ROOT
from qmp_glue.addresses import MonitorAddress, connect
from qmp_glue.asks import Asks
from qmp_glue.guard.proxy import Middlebox
from qmp_glue.guard.verdicts import Judge, Pass, Peer, Verdict

PATIENCE = 20.0
Q35 = ("-M", "q35", "-m", "256M,slots=8,maxmem=8G")
HOLE = (
    "/sys/kernel/iommu_groups/3/reserved_regions:0x0000000100000000 0x000000013fffffff reserved\n"
)


class Everything:
    """A judge that passes everything; the listed commands through :meth:`judge`."""

    def __init__(self, names: frozenset[str] = frozenset()) -> None:
        self.names = names

    def concerns(self, command: Mapping[str, Any]) -> bool:
        return command.get("execute") in self.names

    async def judge(self, command: dict[str, Any], asks: Asks, peer: Peer) -> Verdict:
        return Pass()


class Memory:
    """A journal that remembers."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, Any]] = []

    def judged(self, command: Any, verdict: Verdict, seconds: float) -> None:
        self.lines.append(("judged", (command, verdict)))

    def event(self, name: str, **facts: object) -> None:
        self.lines.append((name, facts))

    def error(self, name: str, **facts: object) -> None:
        self.lines.append((f"error {name}", facts))

    def names(self) -> list[str]:
        return [name for name, _ in self.lines]


class Vm:
    """A paused QEMU whose first monitor is for the guard and whose second is for the truth."""

    def __init__(self, folder: Path, program: str, *args: str) -> None:
        self.qmp = folder / "qmp.sock"
        self.truth = folder / "truth.sock"
        command = [program, "-S", "-display", "none", "-nodefaults", *args]
        for path in (self.qmp, self.truth):
            command += ["-qmp", f"unix:{path},server=on,wait=off"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE)
        wait_for(lambda: listening(self.qmp, self.truth) or self.process.poll() is not None)
        assert self.process.poll() is None, self.process.stderr and self.process.stderr.read()

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stderr:
            self.process.stderr.close()


def listening(*paths: Path | str) -> bool:
    """Say whether somebody listens at each path; a path exists before that."""
    table = Path("/proc/net/unix").read_text().splitlines()
    ready = {line.split()[-1] for line in table if line.split()[3] == "00010000"}
    return {str(path) for path in paths} <= ready


class Guard:
    """A middlebox in a thread, in front of a QMP socket."""

    def __init__(
        self,
        folder: Path,
        qmp: Path | Callable[[], socket.socket],
        judge: Judge | None = None,
        journal: Memory | None = None,
        **options: Any,
    ) -> None:
        self.path = folder / "guard.sock"
        self.path.unlink(missing_ok=True)
        self.journal = journal or Memory()
        self.outcome: str | None = None
        self.failure: BaseException | None = None
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen(16)
        self._up = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(qmp, judge or Everything(), options), daemon=True
        )
        self._thread.start()
        assert self._up.wait(PATIENCE)
        if self.failure:
            raise self.failure

    def _run(
        self, qmp: Path | Callable[[], socket.socket], judge: Judge, options: dict[str, Any]
    ) -> None:
        async def main() -> None:
            self._loop = asyncio.get_running_loop()
            self._task = asyncio.current_task()
            sock = connect(MonitorAddress(path=str(qmp))) if isinstance(qmp, Path) else qmp()
            self.box = Middlebox(self._listener, judge, self.journal, **options)

            async def ready() -> None:
                self._up.set()

            self.outcome = await self.box.serve(sock, ready)

        try:
            asyncio.run(main())
        except asyncio.CancelledError:
            pass
        except BaseException as exc:  # noqa: BLE001  # it is the test's to see
            self.failure = exc
        finally:
            self._up.set()
            self._listener.close()

    def stop(self) -> None:
        if self._thread.is_alive():
            task = self._task
            assert task
            # It may be ending by itself at this very moment, its loop closed already.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(task.cancel)
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the guard does not end"
        if self.failure:
            raise self.failure


def wait_for(condition: Callable[[], object], what: str = "condition") -> None:
    """Wait until something holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"{what} did not come to hold"
        time.sleep(0.005)


@contextlib.contextmanager
def running(thing: Vm | Guard) -> Iterator[Any]:
    try:
        yield thing
    finally:
        thing.stop()


@contextlib.contextmanager
def program(
    *args: object, stderr: int | None = None, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run ``guestmap`` in the background."""
    # No pipes: a QEMU that outlives its guard would keep them open.
    process = subprocess.Popen(
        [sys.executable, "-m", "planner.cli", *map(str, args)],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def guestmap(*args: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "planner.cli", *map(str, args)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def up(process: subprocess.Popen[Any], path: Path | str) -> None:
    wait_for(lambda: listening(path) or process.poll() is not None, "listening")
    if process.poll() is not None:
        pytest.fail(f"the guard ended with {process.returncode}")
