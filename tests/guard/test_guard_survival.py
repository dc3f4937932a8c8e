"""A guard is killed at any moment, under load: nobody notices but by an error or two.

``GUESTMAP_CHAOS=200`` kills as often, launched and under libvirt; the everyday suite a few times.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kit import ROOT
from kit.emulator import guard_of, started
from kit.guard import HOLE, Q35, Vm, listening, program, running, up, wait_for
from labkit.qmp import Client

from planner.span import GIB, MIB, Span
from qmp_glue.guard.ledger import Ledger

KILLS = int(os.environ.get("GUESTMAP_CHAOS", "6"))
FORBIDDEN = Span.sized(4 * GIB, GIB)
LOST = "guestmap: the guard was restarted; the command was not run"


@contextlib.contextmanager
def launched(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the guard's socket and another monitor of QEMU's."""
    front, truth = folder / "front.sock", folder / "truth.sock"
    host = folder / "host.txt"
    host.write_text(HOLE)
    qemu = ["qemu-system-x86_64", "-S", "-display", "none", "-nodefaults", "-M", "q35"]
    qemu += ["-m", "256M,slots=256,maxmem=64G", "-qmp", f"unix:{truth},server=on,wait=off"]
    options = ["--host", host, "--scope", "host", "--log", folder / "log", "--listen", front]
    with program("guard", *options, "--", *qemu) as process:
        up(process, front)
        yield front, truth
        with Client(truth) as client:
            client.command("quit")
        assert process.wait(30) == 0
    assert not front.exists()


@contextlib.contextmanager
def under_libvirt(folder: Path) -> Iterator[tuple[Path, Path]]:
    truth = folder / "truth.sock"
    more = ("-m", "256M,slots=256,maxmem=64G", "-qmp", f"unix:{truth},server=on,wait=off")
    with started(folder, *more) as (process, front):
        wait_for(lambda: listening(truth), "QEMU")
        yield front, truth
        with Client(truth) as client:
            client.command("quit")
        assert process.wait(30) == 0


class Load:
    """One client that asks without end, and takes down what it is told."""

    def __init__(self, path: Path, rng: random.Random) -> None:
        self.client = Client(path)
        self.client.sock.setblocking(False)
        self.sent: list[dict[str, Any]] = []
        self.replies: list[dict[str, Any]] = []
        self._rng = rng
        self._out = b""
        self._in = b""

    def step(self, most: int) -> None:
        """Ask some more, while fewer than *most* are unanswered, and take what comes."""
        while len(self.sent) - len(self.replies) < most:
            command = {**self._command(), "id": len(self.sent)}
            self.sent.append(command)
            self._out += json.dumps(command).encode() + self._rng.choice([b"", b"\n", b" \r\n"])
        ways = [self.client.sock]
        read, write, _ = select.select(ways, ways if self._out else [], [], 0.05)
        if write:
            # Also in pieces: half a command may be what a guard dies with.
            count = self._rng.choice([len(self._out), self._rng.randint(1, len(self._out))])
            self._out = self._out[self.client.sock.send(self._out[:count]) :]
        if read:
            data = self.client.sock.recv(1 << 16)
            assert data, "the connection ended"
            *lines, self._in = (self._in + data).split(b"\n")
            told = [json.loads(line) for line in lines]
            self.replies += [each for each in told if "event" not in each]

    def _command(self) -> dict[str, Any]:
        choice = self._rng.random()
        number = len(self.sent)
        if choice < 0.6:
            return {"execute": self._rng.choice(["query-name", "query-status", "query-pci", "no"])}
        if choice < 0.62:
            return {"execute": "query-qmp-schema"}
        if self.sent and (
            number > 2000 or choice < 0.8 or self.sent[-1]["execute"] == "object-add"
        ):
            last = self.sent[-1]
            if last["execute"] == "object-add":
                name = last["arguments"]["id"]
                plug = {"driver": "pc-dimm", "id": f"d{name}", "memdev": name}
                if self._rng.random() < 0.3:
                    plug["addr"] = hex(4 * GIB + self._rng.randrange(8) * 128 * MIB)
                return {"execute": "device_add", "arguments": plug}
            return {"execute": "query-name"}
        backend = {"qom-type": "memory-backend-ram", "id": f"m{number}", "size": 2 * MIB}
        return {"execute": "object-add", "arguments": backend}


@pytest.mark.qemu
@pytest.mark.parametrize("scene", [launched, under_libvirt])
def test_a_guard_may_be_killed_at_any_moment(scene: Any, tmp_path: Path) -> None:
    rng = random.Random(KILLS)
    with scene(tmp_path) as (front, truth):
        load = Load(front, rng)
        killed: set[int] = set()
        while len(killed) < KILLS:
            guard = guard_of(tmp_path)
            if guard in killed or not guard:
                load.step(20)
                continue
            # Sometimes at once, before it has taken up what was left.
            end = time.monotonic() + rng.choice([0.0, 0.05, 0.3, 1.0]) * rng.random()
            while time.monotonic() < end:
                load.step(20)
            os.kill(guard, signal.SIGKILL)
            killed.add(guard)
        end = time.monotonic() + 60
        while len(load.replies) < len(load.sent):
            assert time.monotonic() < end, load.sent[len(load.replies)]
            load.step(0)
        check(load, truth)
        load.client.sock.close()
        with Client(front) as client:
            assert client.command("query-name") == {"return": {}}
    judged = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert sum(each["event"] == "restarted" for each in judged) >= 1


def check(load: Load, truth: Path) -> None:
    """Every command has one answer, in order; what QEMU has is what the answers say."""
    assert [reply["id"] for reply in load.replies] == list(range(len(load.sent)))
    with Client(truth) as client:
        devices = client.command("query-memory-devices")["return"]
    plugged = {entry["data"]["id"] for entry in devices}
    for entry in devices:
        assert not Span.sized(entry["data"]["addr"], 2 * MIB).overlaps(FORBIDDEN), entry
    added = {
        sent["arguments"]["id"]
        for sent, reply in zip(load.sent, load.replies, strict=True)
        if sent["execute"] == "device_add" and "return" in reply
    }
    assert added == plugged
    words = {reply["error"]["desc"] for reply in load.replies if "error" in reply}
    known = (LOST, "guestmap MM401", "The command no has")
    assert all(word.startswith(known) for word in words if "'m" not in word), words


def ledger() -> tuple[Ledger, Any]:
    made = Ledger.make()
    return Ledger(*made), made


def test_what_is_received_and_not_done_is_there_for_the_next() -> None:
    theirs, ours = socket.socketpair()
    with theirs, ours:
        check_lane(theirs, ours)


def check_lane(theirs: socket.socket, ours: socket.socket) -> None:
    first, made = ledger()
    first.forget_client()
    lane = first.from_client
    theirs.send(b'{"a": 1}{"b": 2}{"c"')
    assert lane.receive(ours, 0)[0] == b'{"a": 1}{"b": 2}{"c"'
    lane.count += 2
    first.to_client.put(b"reply", (2, 0))
    lane.tidy(4)
    again = Ledger(*made)
    assert (again.from_client.first, again.from_client.done) == (1, 2)
    assert again.from_client.content() == b'{"a": 1}{"b": 2}{"c"'
    assert again.to_client.waiting == 5
    # Done with all but the beginning of the last.
    first.to_client.empty()
    first.to_client.put(b"reply", (3, 0))
    lane.tidy(4)
    again = Ledger(*made)
    assert again.from_client.first == 3
    assert again.from_client.content() == b'{"c"'
    # The memory is used again from its beginning, and nothing of the past is left in it.
    for number in range(300):
        lane.count += 1
        lane.pass_all()
        theirs.send(b"x" * 50_000 + b"y" * 7)
        lane.receive(ours, 0)
        lane.tidy(7)
        again = Ledger(*made)
        assert again.from_client.content() == b"y" * 7, number
        assert again.from_client.first == lane.count
    assert not again.from_client.spoilt
    theirs.send(b"\0")
    lane.receive(ours, 0)
    assert Ledger(*made).from_client.spoilt
    first.forget_client()
    again = Ledger(*made)
    assert (again.from_client.content(), again.from_client.spoilt) == (b"", False)


def test_what_was_put_and_not_noted_counts() -> None:
    """A guard may die between its write and the note of it."""
    first, made = ledger()
    first.to_qemu.put(b'{"execute": "x"}', (7, 0))
    first.memory[0:8] = bytes(8)
    again = Ledger(*made)
    assert again.from_client.done == 7
    theirs, ours = socket.socketpair()
    with theirs, ours:
        assert again.to_qemu.move(ours) == 16
        assert theirs.recv(99) == b'{"execute": "x"}'
    # And one that dies before its write has done nothing.
    first.memory[0:8] = bytes(8)
    assert Ledger(*made).from_client.done == 0


def test_facts_are_kept() -> None:
    first, made = ledger()
    first.note(nonce="n")
    first.note(greeting="hello", nonce="m")
    assert Ledger(*made).notes() == {"nonce": "m", "greeting": "hello"}


class Store:
    """systemd's, as far as a service sees it."""

    def __init__(self, path: Path) -> None:
        self.fds: dict[str, int] = {}
        self.path = path
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.bind(str(path))
        self._sock.settimeout(20)

    def until(self, wanted: str) -> None:
        """Take what the service says, up to a message that holds *wanted*."""
        text = ""
        while wanted not in text:
            data, fds, _, _ = socket.recv_fds(self._sock, 4096, 4)
            text = data.decode()
            said = dict(line.split("=", 1) for line in text.splitlines())
            if "FDSTORE" in said:
                (self.fds[said["FDNAME"]],) = fds
            elif "FDSTOREREMOVE" in said and said["FDNAME"] in self.fds:
                os.close(self.fds.pop(said["FDNAME"]))

    @property
    def environment(self) -> dict[str, str]:
        return {"NOTIFY_SOCKET": str(self.path), "FDSTORE": "16"}

    def command(self, *words: object) -> list[str]:
        """Return a command line that runs *words* with the descriptors from 3 on."""
        script = (
            "import os, sys\n"
            f"held = {list(self.fds.values())}\n"
            "high = [os.dup2(fd, 100 + at) for at, fd in enumerate(held)]\n"
            "for at, fd in enumerate(high): os.dup2(fd, 3 + at); os.close(fd)\n"
            f"os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str({len(self.fds)}),\n"
            f"    LISTEN_FDNAMES={':'.join(self.fds)!r})\n"
            "os.execv(sys.executable, [sys.executable, '-m', 'planner.cli', *sys.argv[1:]])\n"
        )
        return [sys.executable, "-c", script, *map(str, words)]

    def close(self) -> None:
        for fd in self.fds.values():
            os.close(fd)
        self._sock.close()


@pytest.mark.qemu
def test_systemd_keeps_what_a_killed_service_had(tmp_path: Path) -> None:
    front = tmp_path / "front.sock"
    store = Store(tmp_path / "notify")
    with contextlib.closing(store), running(Vm(tmp_path, "qemu-system-x86_64", *Q35)) as vm:
        words = ("guard", "--qmp", vm.qmp, "--listen", front, "--reconnect", "0.1")
        with program(*words, environment=store.environment) as process:
            store.until("STATUS=nothing judged")
            with Client(front) as client:
                store.until("FDNAME=guestmap-client")
                assert client.command("query-name") == {"return": {}}
                process.kill()
                process.wait()
                client.send(b'{"execute": "query-status", "id": "meanwhile"}')
                again = subprocess.Popen(
                    store.command(*words),
                    cwd=ROOT,
                    env={**os.environ, **store.environment},
                    pass_fds=list(store.fds.values()),
                )
                try:
                    told = json.loads(client.line())
                    assert (told["id"], told["return"]["running"]) == ("meanwhile", False)
                    assert client.command("query-name") == {"return": {}}
                    client.sock.close()
                    with Client(front) as other:
                        assert other.command("query-name") == {"return": {}}
                        vm.process.kill()
                        assert other.ended()
                    store.until("STATUS=waiting for QEMU: cannot reach")
                    assert list(store.fds) == ["guestmap-listen"]
                finally:
                    again.terminate()
                    assert again.wait(20) == 0
