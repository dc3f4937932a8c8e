"""A QEMU with two monitors, a guard in a thread in front of one of them, and a plain client."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from qmp_glue.guard.addresses import Address, connect
from qmp_glue.guard.proxy import Middlebox
from qmp_glue.guard.verdicts import Everything, Judge, Silence, Verdict

PATIENCE = 20.0


class Memory(Silence):
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


class Qmp:
    """A blocking QMP client that sees bytes."""

    def __init__(self, path: Path | str, *, caps: bool = True, oob: bool = False) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self._rest = b""
        self.events: list[dict[str, Any]] = []
        self._count = 0
        try:
            self.sock.connect(str(path))
            if caps:
                self.greeting = self.message()
                enable = {"enable": ["oob"]} if oob else {}
                assert self.command("qmp_capabilities", **enable) == {"return": {}}
        except BaseException:
            self.sock.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def line(self) -> bytes:
        """Return the next message as bytes; empty at the end."""
        while b"\n" not in self._rest:
            data = self.sock.recv(1 << 20)
            if not data:
                rest, self._rest = self._rest, b""
                return rest
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line + b"\n"

    def message(self) -> dict[str, Any]:
        data = self.line()
        assert data, "the peer closed"
        found: dict[str, Any] = json.loads(data)
        return found

    def reply(self) -> dict[str, Any]:
        """Return the next message that is no event."""
        while "event" in (found := self.message()):
            self.events.append(found)
        return found

    def command(self, name: str, /, **arguments: Any) -> dict[str, Any]:
        """Run a command; return the reply without its id."""
        self._count += 1
        told: dict[str, Any] = {"execute": name, "id": self._count}
        if arguments:
            told["arguments"] = {key.replace("_", "-"): value for key, value in arguments.items()}
        self.send(json.dumps(told).encode())
        reply = self.reply()
        assert reply.pop("id") == self._count
        return reply

    def ended(self) -> bool:
        """Wait for the peer to close; say whether it did."""
        with contextlib.suppress(ConnectionError):
            while self.line():
                pass
        return True


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
            sock = connect(Address(path=str(qmp))) if isinstance(qmp, Path) else qmp()
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
