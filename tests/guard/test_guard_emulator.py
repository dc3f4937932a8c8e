"""The guard in the place of the emulator that libvirt starts."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from kit import ROOT
from kit.emulator import MONITOR, guard_of, started
from kit.guard import wait_for
from kit.qemus import VERSIONS, program_of
from labkit.qmp import Client, GoneError

from planner.span import GIB, MIB
from qmp_glue.errors import StartError
from qmp_glue.guard.emulator import take_over

CONSOLE = ("-chardev", "socket,id=charserial0,fd=25,server=on,wait=off")


def test_the_monitor_becomes_a_connected_descriptor() -> None:
    taken = take_over(["qemu", *CONSOLE, "-S", *MONITOR, "-msg", "timestamp=on"])
    assert taken is not None
    assert taken.listen_fd == 24
    assert taken.command(7) == [
        *("qemu", *CONSOLE, "-S", "-chardev", "socket,id=charmonitor,fd=7", *MONITOR[2:]),
        *("-msg", "timestamp=on"),
    ]


@pytest.mark.parametrize(
    "monitor",
    [
        # libvirt 12.8 with QEMU 11.1, and the same as key=value.
        '{"qom-type":"monitor-qmp","id":"monitor","chardev":"charmonitor"}',
        "monitor-qmp,id=monitor,chardev=charmonitor",
    ],
)
def test_the_monitor_may_be_an_object(monitor: str) -> None:
    chardev = ("-chardev", "socket,id=charmonitor,fd=17,server=on,wait=off")
    hmp = ("-object", '{"qom-type":"monitor-hmp","id":"h","chardev":"charserial0"}')
    backend = ("-object", "memory-backend-ram,id=charmonitor,size=1M")
    argv = ["qemu", *CONSOLE, *hmp, *backend, *chardev, "-object", monitor]
    taken = take_over(argv)
    assert taken is not None
    assert taken.listen_fd == 17
    changed = taken.command(7)
    assert changed[argv.index(chardev[1])] == "socket,id=charmonitor,fd=7"
    assert changed[-1] == monitor


def test_older_spellings_mean_the_same() -> None:
    old = ["qemu", "--chardev", "socket,id=m,fd=3,server,nowait", "--mon", "chardev=m,mode=control"]
    taken = take_over(old)
    assert taken is not None
    assert taken.listen_fd == 3
    assert taken.command(9)[2] == "socket,id=m,fd=9"


@pytest.mark.parametrize(
    "args",
    [
        # How libvirt asks for capabilities.
        [
            *("-S", "-no-user-config", "-nodefaults", "-nographic"),
            *("-machine", "none,accel=kvm:tcg", "-daemonize"),
            *("-qmp", "unix:/run/probe.monitor,server=on,wait=off"),
        ],
        ["-M", "none"],
        ["--version"],
        ["-help"],
    ],
)
def test_a_question_passes(args: Sequence[str]) -> None:
    assert take_over(["qemu", *args]) is None


@pytest.mark.parametrize(
    ("args", "count"),
    [
        ([], 0),
        (["-M", "q35"], 0),
        (["-M", "q35", "-qmp", "unix:/run/x,server=on,wait=off"], 0),
        # A human monitor cannot be guarded, a connected one is not libvirt's.
        (["-chardev", "socket,id=m,fd=3,server=on", "-mon", "chardev=m,mode=readline"], 0),
        (["-chardev", "socket,id=m,fd=3", "-mon", "chardev=m,mode=control"], 0),
        (["-chardev", "socket,id=m,path=/x,server=on", "-mon", "chardev=m,mode=control"], 0),
        (["-chardev", "socket,id=m,fd=3,server=on", "-object", "monitor-hmp,id=x,chardev=m"], 0),
        (["-chardev", "socket,id=m,fd=3,server=on", "-object", '{"qom-type":'], 0),
        ([*MONITOR, *(word.replace("charmonitor", "second") for word in MONITOR)], 2),
    ],
)
def test_a_guest_without_a_monitor_to_take_over_is_refused(args: list[str], count: int) -> None:
    with pytest.raises(StartError, match=f"qemu is given {count} control monitors at listening"):
        take_over(["qemu", *args])


def _comm(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text()


@pytest.mark.qemu
def test_libvirts_process_is_qemu_and_its_monitor_the_guard(tmp_path: Path) -> None:
    with started(tmp_path, "-qmp", "null") as (process, path), Client(path) as client:
        assert _comm(process.pid).startswith("qemu")
        guard = guard_of(tmp_path)
        assert Path(f"/proc/{guard}/stat").read_text().split()[3] != str(process.pid)
        client.command("object-add", qom_type="memory-backend-ram", id="m0", size=256 * MIB)
        plug = {"driver": "pc-dimm", "id": "d0", "memdev": "m0"}
        refused = client.command("device_add", **plug, addr=4 * GIB)
        assert "guestmap MM401: memory 'd0'" in refused["error"]["desc"]
        assert client.command("device_add", **plug) == {"return": {}}
        (device,) = client.command("query-memory-devices")["return"]
        assert device["data"]["addr"] == 5 * GIB
        client.sock.close()
        # libvirtd comes back after a restart.
        with Client(path) as again:
            again.command("quit")
            assert again.ended()
        assert process.wait(20) == 0
        wait_for(lambda: not Path(f"/proc/{guard}").exists(), "the guard's end")
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert lines[0]["event"] == "other-monitor"
    assert lines[0]["option"] == "-qmp null"
    assert [line["event"] for line in lines].count("other-monitor") == 1
    assert (tmp_path / "err").read_text() == ""


@pytest.mark.qemu
@pytest.mark.parametrize("version", [each for each in VERSIONS if each.values != ("7.2",)])
def test_newer_qemus_as_libvirt_starts_them(version: str, tmp_path: Path) -> None:
    """QEMU 10.0 has ``-mon`` from libvirt 11.3, QEMU 11.1 the object from libvirt 12.8."""
    program = program_of(version)
    newest = '{"qom-type":"monitor-qmp","id":"monitor","chardev":"charmonitor"}'
    monitor = MONITOR if version == "10.0" else (*MONITOR[:2], "-object", newest)
    with started(tmp_path, program=program, monitor=monitor) as (process, path):
        with Client(path) as client:
            told = client.command("query-version")["return"]["qemu"]
            assert f"{told['major']}.{told['minor']}" == version
            client.command("object-add", qom_type="memory-backend-ram", id="m0", size=256 * MIB)
            plug = {"driver": "pc-dimm", "id": "d0", "memdev": "m0", "addr": 4 * GIB}
            refused = client.command("device_add", **plug)
            assert "guestmap MM401: memory 'd0'" in refused["error"]["desc"]
            client.command("quit")
            assert client.ended()
        assert process.wait(20) == 0
    assert (tmp_path / "err").read_text() == ""


@pytest.mark.qemu
def test_nobody_waits_for_a_dead_holder(tmp_path: Path) -> None:
    with started(tmp_path) as (process, path), Client(path) as client:
        guard = guard_of(tmp_path)
        holder = int(Path(f"/proc/{guard}/stat").read_text().split()[3])
        os.kill(holder, signal.SIGKILL)
        assert client.ended()
        # The guard may not have let go of the socket yet: who comes is not greeted all the same.
        with pytest.raises((ConnectionRefusedError, GoneError)):
            Client(path)
        wait_for(lambda: refuses(path), "nobody listening any more")
        assert process.poll() is None


def refuses(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex(str(path)) == errno.ECONNREFUSED


@pytest.mark.qemu
def test_what_qemu_says_at_its_end_is_passed_on(tmp_path: Path) -> None:
    with started(tmp_path, "-device", "nosuch") as (process, path):
        with Client(path, caps=False) as client:
            assert client.ended()
        assert process.wait(20) == 1
    said = (tmp_path / "err").read_text()
    assert "'nosuch' is not a valid device model name" in said


def run(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "planner.cli", "guard", *args],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.qemu
def test_a_question_is_qemus_to_answer() -> None:
    result = run("--libvirt", "--", "qemu-system-x86_64", "-version")
    assert result.returncode == 0
    assert re.match(r"QEMU emulator version \d", result.stdout)


@pytest.mark.qemu
def test_the_shipped_script_is_an_emulator(tmp_path: Path) -> None:
    (tmp_path / "guestmap").symlink_to(Path(sys.executable).with_name("guestmap"))
    result = subprocess.run(
        [ROOT / "scripts" / "guestmap-emulator", "--version"],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("QEMU emulator version ")


@pytest.mark.parametrize(
    ("args", "status", "words"),
    [
        (["--libvirt"], 2, "give --qmp, or -- and QEMU's command line"),
        (["--libvirt", "--listen", "./x", "--", "qemu"], 2, "--libvirt goes with -- and QEMU's"),
        (["--libvirt", "--", "qemu", "-M", "q35"], 3, "qemu is given 0 control monitors"),
        (
            ["--libvirt", "--", "/nowhere/qemu", "-version"],
            3,
            "cannot start /nowhere/qemu: No such",
        ),
        (["--libvirt", "--", "qemu", *MONITOR], 3, "descriptor 24 is no socket: Bad file"),
    ],
)
def test_misuse_is_said_before_qemu_starts(args: list[str], status: int, words: str) -> None:
    result = run(*args)
    assert result.returncode == status
    assert words in result.stderr
