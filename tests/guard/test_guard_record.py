"""The record and the counters: a disk that is full and a stderr nobody reads hold nothing up."""

from __future__ import annotations

import asyncio
import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from kit.guard import HOLE, Q35, Vm, guestmap, program, running, up, wait_for
from labkit.qmp import Client

from planner.host.profile import Scope
from planner.text.write import FileError
from qmp_glue.guard import aside as aside_module
from qmp_glue.guard.aside import aside
from qmp_glue.guard.facts import host_binding
from qmp_glue.guard.record import GuardRecord, Lines, Metrics
from qmp_glue.guard.verdicts import CannotJudgeError, Pass


def test_lines_nobody_reads_are_counted_and_told_later() -> None:
    read, write = os.pipe()
    os.set_blocking(write, True)
    record = GuardRecord(Lines(write))
    count = 0
    while not record.metrics.lost:
        record.event("client", fill="x" * 1000)
        count += 1
    for _ in range(4):
        record.judged({"execute": "device_add"}, Pass("fine"), 0.1)
    assert record.metrics.lost == 5
    data = b""
    while select.select([read], [], [], 0)[0]:
        data += os.read(read, 1 << 20)
    record.event("client-gone")
    lines = (data + os.read(read, 1 << 20)).decode().splitlines()
    *whole, last, after = [json.loads(line) for line in lines]
    assert (last["event"], last["count"]) == ("lines-lost", 5)
    assert after["event"] == "client-gone"
    assert len(whole) == count - 1
    os.close(read)
    # Nobody will ever read.
    record.error("accept")
    assert record.metrics.lost == 6
    os.close(write)


def test_a_line_is_harmless_and_means_what_it_meant() -> None:
    evil = "a\x1b[31m\x7f\x9b\u202e\n<0>ok"
    read, write = os.pipe()
    record = GuardRecord(Lines(write))
    record.judged({"execute": evil, "arguments": {"id": evil}}, Pass(evil), 0.1)
    (line,) = os.read(read, 1 << 20).decode().splitlines()
    assert line.isprintable()
    assert json.loads(line)["note"] == evil
    # systemd's status is one line too.
    assert record.last.isprintable()
    os.close(read)
    os.close(write)


def test_a_cut_line_does_not_spoil_the_next(tmp_path: Path) -> None:
    """``RLIMIT_FSIZE`` cuts a write as a full disk does."""
    log = tmp_path / "log"
    script = (
        "import resource, sys; from qmp_glue.guard.record import GuardRecord, Lines\n"
        "record = GuardRecord(Lines.to_file(sys.argv[1]))\n"
        "record.event('one')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, -1))\n"
        "record.event('two'); record.event('three')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))\n"
        "record.event('four')\n"
    )
    subprocess.run([sys.executable, "-c", script, log], check=True, timeout=60)
    one, two, lost, four = log.read_text().splitlines()
    assert json.loads(one)["event"] == "one"
    assert len(two) < 60
    assert (json.loads(lost)["event"], json.loads(lost)["count"]) == ("lines-lost", 2)
    assert json.loads(four)["event"] == "four"


def test_counters_are_of_one_vm() -> None:
    metrics = Metrics(vm="unix:/run/a.sock")
    assert metrics.text() == "# guestmap_guard: QEMU has not been met\n"
    record = GuardRecord(Lines(None), metrics)
    record.event("qemu", greeting="", vm="")
    assert 'guestmap_guard_qemu_up{vm="unix:/run/a.sock"} 1\n' in metrics.text()
    record.event("qemu", greeting="", vm='web "1"\\\n')
    record.judged({"execute": "device_add"}, Pass(), 0.2)
    text = metrics.text()
    assert r'guestmap_guard_judged_total{vm="web \"1\"\\' in text
    samples = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(r'{vm="web \"1\"\\' in line for line in samples)
    assert sum(',le="0.25"} 1' in line for line in samples) == 1
    assert any(line.startswith("guestmap_guard_lines_lost_total{") for line in samples)


def test_counters_on_a_full_disk_are_no_reason_not_to_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise FileError("no room") from OSError(28, "No space left on device")

    told: list[str] = []
    metrics = Metrics(tmp_path / "m.prom")
    metrics.on_failure = told.append
    monkeypatch.setattr("qmp_glue.guard.record.write_file", full)
    metrics.start()
    metrics.refresh()
    assert told == ["no room"]
    monkeypatch.undo()
    with pytest.raises(FileError, match="cannot be written: No such file"):
        Metrics(tmp_path / "no" / "m.prom").start()


@pytest.mark.parametrize(("option", "target"), [("--metrics", "/dev/full"), ("--log", "no/log")])
def test_targets_that_cannot_be(option: str, target: str, tmp_path: Path) -> None:
    done = guestmap("guard", "--qmp", tmp_path / "q", "--listen", tmp_path / "l", option, target)
    assert done.returncode == 2
    why = "is a device" if option == "--metrics" else "cannot be written: No such file"
    assert f"{target} {why}" in done.stderr
    assert Path("/dev/full").is_char_device()


@pytest.mark.qemu
@pytest.mark.parametrize("log", ["/dev/full", "pipe", "closed"])
def test_commands_are_answered_whatever_becomes_of_the_record(log: str, tmp_path: Path) -> None:
    host, front = tmp_path / "host.txt", tmp_path / "guard.sock"
    host.write_text(HOLE)
    options: list[Any] = ["--host", host, "--scope", "host", "--metrics", tmp_path / "m.prom"]
    read, write = os.pipe()
    if log == "/dev/full":
        options += ["--log", log]
    stderr = {"pipe": write, "closed": write}.get(log)
    if log == "closed":
        os.close(read)
    with (
        running(Vm(tmp_path, "qemu-system-x86_64", *Q35, "-name", "vm7")) as vm,
        program("guard", "--qmp", vm.qmp, "--listen", front, *options, stderr=stderr) as process,
    ):
        up(process, front)
        for number in range(80 if log == "pipe" else 2):
            with Client(front) as client:
                for _ in range(3):
                    said = client.command(
                        "device_add", driver="pc-dimm", id="d", memdev="m", bogus="x" * 900
                    )
                    assert "error" in said, number
        wait_for(
            lambda: 'lines_lost_total{vm="vm7"} 0\n' not in (tmp_path / "m.prom").read_text(),
            "lost lines",
        )
        assert process.poll() is None
    os.close(write)


async def _facts(path: Path) -> None:
    await host_binding([str(path)], Scope.HOST, ())


def test_facts_that_never_come_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fifo = tmp_path / "facts"
    os.mkfifo(fifo)
    monkeypatch.setattr(aside_module, "_SECONDS", 0.2)
    # Somebody has it open to write, and writes nothing.
    writer = os.open(fifo, os.O_RDWR)
    started = time.monotonic()
    with pytest.raises(CannotJudgeError, match=r"facts at .* did not come within 0.2 s"):
        asyncio.run(_facts(fifo))
    assert time.monotonic() - started < 5
    for _ in range(3):
        with pytest.raises(CannotJudgeError, match="did not come within"):
            asyncio.run(_facts(fifo))
    with pytest.raises(CannotJudgeError, match="4 earlier readings still hang"):
        asyncio.run(_facts(fifo))
    os.close(writer)
    wait_for(lambda: not aside_module._hanging, "the readings' end")
    assert asyncio.run(aside("a sum", sum, [1, 2])) == 3
