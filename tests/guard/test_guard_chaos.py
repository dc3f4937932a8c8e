"""Chaos: somebody is killed, frames are cut, rubbish is sent. No hang, no crash, nothing unjudged.

``GUESTMAP_CHAOS=200`` runs the long tier; the everyday suite runs a few.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from kit import ROOT
from kit.guard import Vm, listening, running, wait_for
from labkit.qmp import Client

from planner.span import GIB, MIB, Span

pytestmark = pytest.mark.qemu

RUNS = int(os.environ.get("GUESTMAP_CHAOS", "5"))
HOLE = Span.sized(5 * GIB, GIB)
QEMU = ("-M", "q35", "-m", "256M,slots=64,maxmem=12G")


class Tap:
    """Stands between the guard and QEMU, and keeps what the guard says."""

    def __init__(self, path: Path, qmp: Path) -> None:
        self.said = b""
        self._qmp = qmp
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(1)
        self._open = True
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while self._open:
            try:
                guard, _ = self._listener.accept()
            except OSError:
                return
            with guard, socket.socket(socket.AF_UNIX) as qemu, contextlib.suppress(OSError):
                qemu.connect(str(self._qmp))
                ways = [
                    threading.Thread(target=self._pump, args=pair, daemon=True)
                    for pair in ((guard, qemu, True), (qemu, guard, False))
                ]
                for way in ways:
                    way.start()
                for way in ways:
                    way.join()

    def _pump(self, source: socket.socket, target: socket.socket, keep: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if keep:
                    self.said += data
                target.sendall(data)
        for side in (source, target):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._open = False
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(20)
        self._listener.close()


def rubbish(rng: random.Random, *, large: bool) -> bytes:
    return rng.choice(
        [
            b"[" * 5000,
            b'{"a":' * 1500 + b"1" + b"}" * 1500,
            b'{"execute":"stop","execute":"cont"}',
            b'{"execute":"device_add","arguments":{"driver":"pc-dimm","driver":"x"}}',
            b'{"execute":"\xc3\x28\xff"}',
            b'"\xed\xa0\x80"',
            b'{"execute":"device_add","arguments":{"driver":"\\ud834"}}\n',
            b"\xff\xfe" * 50,
            b"}" * 100,
            b'{"execute":%p}',
            rng.randbytes(10 << 20 if large else 20_000),
        ]
    )


def command(rng: random.Random, number: int) -> bytes:
    """Make an honest command: memory somewhere, by QMP or HMP, or a question."""
    choice = rng.random()
    backend = {"qom-type": "memory-backend-ram", "id": f"m{number}", "size": 128 * MIB}
    told: dict[str, Any] = {"execute": "object-add", "arguments": backend}
    if choice < 0.3:
        told = {"execute": rng.choice(["query-status", "query-memory-devices", "stop", "nosuch"])}
    data = json.dumps({**told, "id": number}).encode()
    if choice < 0.3:
        return data
    addr = 4 * GIB + rng.randrange(0, 60) * 128 * MIB
    where = rng.choice(["", f",addr={addr:#x}", f",addr={addr}"])
    if choice < 0.6:
        line = f"device_add pc-dimm,id=d{number},memdev=m{number}{where}"
        told = {"execute": "human-monitor-command", "arguments": {"command-line": line}}
    else:
        plug = {"driver": "pc-dimm", "id": f"d{number}", "memdev": f"m{number}"}
        told = {"execute": "device_add", "arguments": plug | ({"addr": addr} if where else {})}
    return data + json.dumps({**told, "id": number}).encode()


def behave(rng: random.Random, path: Path, number: int, *, large: bool) -> None:
    """Be one client for a while; be cut off, or cut oneself off, anywhere."""
    with contextlib.suppress(OSError, AssertionError), Client(path) as client:
        for step in range(rng.randint(3, 12)):
            data = command(rng, number * 100 + step)
            if rng.random() < 0.3:
                data = rubbish(rng, large=large and step == 0)
            if rng.random() < 0.1:
                client.send(data[: rng.randrange(len(data))])
                return
            client.sock.settimeout(0.1)
            with contextlib.suppress(TimeoutError):
                client.send(data)
                while line := client.line():
                    check_reply(line)
            # What the rubbish opened is closed again.
            client.send(b"\n\xff\n")


def check_reply(line: bytes) -> None:
    reply = json.loads(line)
    if "error" in reply:
        assert reply["error"]["desc"], line


def start_guard(folder: Path, tap: Path) -> subprocess.Popen[bytes]:
    path = folder / "guard.sock"
    with (folder / "stderr").open("ab") as errors:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "planner.cli", "guard", "--qmp", str(tap)),
                *("--listen", str(path), "--host", str(folder / "host.txt"), "--scope", "host"),
                *("--log", str(folder / "log"), "--stall", "3"),
            ],
            cwd=ROOT,
            stderr=errors,
        )
    wait_for(lambda: listening(path) or process.poll() is not None, "a guard")
    return process


@pytest.mark.parametrize("seed", range(RUNS))
def test_chaos(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    (tmp_path / "host.txt").write_text(
        "/sys/kernel/iommu_groups/3/reserved_regions:"
        f"0x{HOLE.start:016x} 0x{HOLE.last:016x} reserved\n"
    )
    tap_path = tmp_path / "tap.sock"
    victim = rng.choice(["client", "guard", "qemu"])
    with running(Vm(tmp_path, "qemu-system-x86_64", *QEMU)) as vm:
        tap = Tap(tap_path, vm.qmp)
        guard = start_guard(tmp_path, tap_path)
        target = {"guard": guard, "qemu": vm.process}.get(victim)
        timer = threading.Timer(rng.uniform(0.05, 1.5), target.kill) if target else None
        try:
            if timer:
                timer.start()
            for number in range(3):
                behave(rng, tmp_path / "guard.sock", number, large=seed % 8 == 0)
            if timer:
                timer.join()
            if victim == "qemu":
                assert guard.wait(30) == 3
            else:
                if victim == "guard":
                    guard.wait(30)
                    guard = start_guard(tmp_path, tap_path)
                # Whatever happened: the next client is served.
                with Client(tmp_path / "guard.sock") as client:
                    assert client.command("query-name") == {"return": {}}
                with Client(vm.truth) as truth:
                    for entry in truth.command("query-memory-devices")["return"]:
                        data = entry["data"]
                        span = Span.sized(data["addr"], data["size"])
                        assert not span.overlaps(HOLE), entry
                guard.terminate()
                assert guard.wait(30) == 0
        finally:
            guard.kill()
            guard.wait()
            tap.close()
    check_record(tmp_path, tap.said)


def check_record(folder: Path, said: bytes) -> None:
    """Everything QEMU heard was whole, understood and, where it mattered, judged."""
    stderr = (folder / "stderr").read_text()
    assert "Traceback" not in stderr, stderr
    assert "internal error" not in stderr, stderr
    log = (folder / "log").read_text().splitlines()
    allowed: list[Any] = []
    for line in log:
        with contextlib.suppress(ValueError):
            told = json.loads(line)
            assert not told["event"].startswith("judge-"), line
            if told["event"] == "judged" and told["verdict"] in {"pass", "steer"}:
                allowed.append(json.loads(told.get("became", told["command"])))
    # The last line may have been cut by a kill.
    for sent in said.splitlines()[:-1]:
        told = json.loads(sent)
        assert isinstance(told, dict), sent
        line = told.get("arguments", {}).get("command-line", "")
        if told["execute"] == "device_add" or re.match(r"\s*device_add", line):
            told.pop("id", None)
            plain = [{k: v for k, v in each.items() if k != "id"} for each in allowed]
            assert told in plain, sent
