"""The guard as a program: sockets, systemd, a QEMU of its own, coming back, its record."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kit import ROOT
from kit.guard import HOLE, Q35, Vm, guestmap, program, running, up, wait_for
from labkit.qmp import Client

from planner.span import GIB, MIB

pytestmark = pytest.mark.qemu


@pytest.fixture
def vm(tmp_path: Path) -> Iterator[Vm]:
    with running(Vm(tmp_path, "qemu-system-x86_64", *Q35)) as made:
        yield made


@pytest.fixture
def host(tmp_path: Path) -> Path:
    path = tmp_path / "host.txt"
    path.write_text(HOLE)
    return path


def test_the_socket_is_private_and_goes_with_the_guard(tmp_path: Path, vm: Vm) -> None:
    path = tmp_path / "own" / "guard.sock"
    with program("guard", "--qmp", vm.qmp, "--listen", path) as process:
        up(process, path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        with Client(path) as client:
            assert client.command("query-name") == {"return": {}}
        taken = guestmap("guard", "--qmp", vm.truth, "--listen", path)
        assert taken.returncode == 3
        assert f"somebody listens at {path} already" in taken.stderr
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert not path.exists()


def test_a_directory_others_write_is_refused(tmp_path: Path, vm: Vm) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    result = guestmap("guard", "--qmp", vm.qmp, "--listen", shared / "guard.sock")
    assert result.returncode == 3
    assert "could put their own socket in the place of the guard's" in result.stderr
    result = guestmap("guard", "--qmp", vm.qmp, "--listen", tmp_path / "no" / "such" / "x.sock")
    assert result.returncode == 3
    assert "cannot use directory" in result.stderr


def test_a_dead_guards_socket_is_replaced(tmp_path: Path, vm: Vm) -> None:
    path = tmp_path / "guard.sock"
    with program("guard", "--qmp", vm.qmp, "--listen", path) as process:
        up(process, path)
        process.kill()
        process.wait()
        assert path.exists()
    with program("guard", "--qmp", vm.qmp, "--listen", path) as process:
        up(process, path)
        with Client(path) as client:
            assert client.command("query-name") == {"return": {}}


def test_nobody_at_the_other_end_is_3(tmp_path: Path) -> None:
    result = guestmap("guard", "--qmp", tmp_path / "none.sock", "--listen", tmp_path / "guard.sock")
    assert result.returncode == 3
    assert "cannot reach QEMU at unix:" in result.stderr


@pytest.mark.parametrize(
    "args",
    [
        ["--listen", "x/y"],
        ["--qmp", "a/b", "--listen", "x/y", "--", "qemu"],
        ["--qmp", "nonsense", "--listen", "x/y"],
        ["--qmp", "a/b", "--listen", "x/y", "--mode", "0666"],
        ["--qmp", "a/b", "--listen", "x/y", "--monitor", "c/d"],
    ],
)
def test_misuse_is_2(args: list[str]) -> None:
    result = guestmap("guard", *args)
    assert result.returncode == 2, result.stderr
    assert result.stderr.startswith("Usage: ")


def test_systemd_hears_that_all_is_well(tmp_path: Path, vm: Vm) -> None:
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(str(tmp_path / "notify"))
    notify.settimeout(20)
    path = tmp_path / "guard.sock"
    heard: dict[str, str] = {}
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "300000"}
    with (
        notify,
        program("guard", "--qmp", vm.qmp, "--listen", path, environment=environment) as process,
    ):
        while not {"READY", "WATCHDOG", "STATUS"} <= set(heard):
            heard |= dict(line.split("=", 1) for line in notify.recv(4096).decode().splitlines())
        # The watchdog is fed by round trips: a QEMU that hangs feeds nothing.
        vm.process.send_signal(signal.SIGSTOP)
        with contextlib.suppress(TimeoutError):
            notify.settimeout(1.0)
            while notify.recv(4096):
                heard["before"] = "the stop"
        notify.settimeout(0.7)
        with pytest.raises(TimeoutError):
            notify.recv(4096)
        vm.process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGTERM)
        notify.settimeout(20)
        while "STOPPING=1" not in notify.recv(4096).decode():
            pass
        assert process.wait(20) == 0


def test_systemd_may_pass_the_socket(tmp_path: Path, vm: Vm) -> None:
    path = tmp_path / "passed.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        command = (
            f"exec 3<&{listener.fileno()}; LISTEN_FDS=1; LISTEN_PID=$$; "
            f"export LISTEN_FDS LISTEN_PID; "
            f'exec "{sys.executable}" -m planner.cli guard --qmp "{vm.qmp}"'
        )
        process = subprocess.Popen(
            ["bash", "-c", command],
            cwd=ROOT,
            pass_fds=[listener.fileno()],
            stderr=subprocess.DEVNULL,
        )
    with Client(path) as client:
        assert client.command("query-name") == {"return": {}}
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert path.exists(), "the socket is systemd's"
    result = guestmap("guard", "--qmp", vm.qmp)
    assert result.returncode == 2
    assert "give --listen, or start the guard by its socket" in result.stderr


def test_a_qemu_of_its_own_and_its_record(tmp_path: Path, host: Path) -> None:
    path, log, metrics = tmp_path / "g.sock", tmp_path / "log", tmp_path / "guard.prom"
    qemu = ["qemu-system-x86_64", "-S", "-display", "none", *Q35]
    args = ["guard", "--listen", path, "--host", host, "--scope", "host", "--log", log]
    with program(*args, "--metrics", metrics, "--", *qemu) as process:
        up(process, path)
        with Client(path) as client:
            for at in range(3):
                client.command(
                    "object-add", qom_type="memory-backend-ram", id=f"m{at}", size=256 * MIB
                )
            refused = client.command(
                "device_add", driver="pc-dimm", id="d0", memdev="m0", addr=4 * GIB
            )
            assert "MM401" in refused["error"]["desc"]
            assert client.command("device_add", driver="pc-dimm", id="d1", memdev="m1") == {
                "return": {}
            }
            fits = {"driver": "pc-dimm", "id": "d2", "memdev": "m2", "addr": 6 * GIB}
            assert client.command("device_add", **fits) == {"return": {}}
            (steered,) = [
                entry["data"]["addr"]
                for entry in client.command("query-memory-devices")["return"]
                if entry["data"]["id"] == "d1"
            ]
            assert steered == 5 * GIB
            client.command("quit")
            assert client.ended()
        assert process.wait(20) == 0
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    judged = [line for line in lines if line["event"] == "judged" and "pc-dimm" in line["command"]]
    assert [line["verdict"] for line in judged] == ["refuse", "steer", "pass"]
    assert judged[0]["findings"][0]["code"] == "MM401"
    assert json.loads(judged[1]["became"])["arguments"]["addr"] == 5 * GIB
    assert all(re.fullmatch("[0-9a-f]{16}", line["map"]) for line in judged)
    assert judged[0]["map"] == judged[1]["map"] != judged[2]["map"]
    text = metrics.read_text()
    assert f'guestmap_guard_judged_total{{vm="unix:{path}",verdict="refuse"}} 1' in text
    assert f'guestmap_guard_judged_total{{vm="unix:{path}",verdict="steer"}} 1' in text
    assert f'guestmap_guard_judgement_seconds_bucket{{vm="unix:{path}",le="+Inf"}} 6' in text
    assert [entry.name for entry in tmp_path.glob(".guard.prom*")] == []


def test_without_steering_what_would_collide_is_refused(tmp_path: Path, host: Path, vm: Vm) -> None:
    path = tmp_path / "guard.sock"
    args = ("guard", "--qmp", vm.qmp, "--listen", path, "--host", host, "--scope", "host")
    with program(*args, "--no-steer") as process:
        up(process, path)
        with Client(path) as client:
            client.command("object-add", qom_type="memory-backend-ram", id="m", size=256 * MIB)
            refused = client.command("device_add", driver="pc-dimm", id="d", memdev="m")
            assert "MM401" in refused["error"]["desc"]
            assert client.command("query-memory-devices") == {"return": []}


def test_qemus_own_monitors_are_named(tmp_path: Path) -> None:
    log = tmp_path / "log"
    qemu = ["qemu-system-x86_64", "-S", "-display", "none", "-qmp", "null", *Q35]
    path = tmp_path / "g.sock"
    with program("guard", "--listen", path, "--log", log, "--", *qemu) as process:
        up(process, path)
        with Client(path) as client:
            client.command("quit")
        process.wait(20)
    assert '"event": "other-monitor", "option": "-qmp null"' in log.read_text()


def test_a_qemu_that_cannot_start_is_3(tmp_path: Path) -> None:
    path = tmp_path / "g.sock"
    result = guestmap("guard", "--listen", path, "--", "qemu-system-x86_64", "-M", "nosuch")
    assert result.returncode == 3
    assert "QEMU ended with status 1" in result.stderr
    result = guestmap("guard", "--listen", path, "--", "/nowhere/qemu")
    assert result.returncode == 3
    assert "cannot start /nowhere/qemu" in result.stderr


def test_another_guard_takes_over(tmp_path: Path) -> None:
    path, monitor = tmp_path / "g.sock", tmp_path / "monitor.sock"
    qemu = ["qemu-system-x86_64", "-S", "-display", "none", *Q35]
    pid = 0
    try:
        args = ["guard", "--listen", path, "--monitor", monitor, "--", *qemu]
        with program(*args) as process:
            up(process, path)
            with Client(path) as client:
                client.command("query-name")
                found = subprocess.run(
                    ["pgrep", "-P", str(process.pid), "qemu"],
                    capture_output=True,
                    text=True,
                    check=True,
                )
                pid = int(found.stdout)
                process.kill()
                process.wait()
                assert client.ended()
        with program("guard", "--qmp", monitor, "--listen", path) as process:
            up(process, path)
            with Client(path) as client:
                status = client.command("query-status")["return"]
                assert status["status"] == "prelaunch"
                client.command("quit")
            assert process.wait(20) == 0
    finally:
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_what_is_told_on_the_command_line_is_done(tmp_path: Path, vm: Vm) -> None:
    path = tmp_path / "guard.sock"
    missing = ("--host", tmp_path / "none", "--scope", "host", "--steer")
    args = ("guard", "--qmp", vm.qmp, "--listen", path, "--mode", "0660", *missing)
    with program(*args, "--fail-open", "--second", "refuse", "--stall", "5") as process:
        up(process, path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        with Client(path) as client:
            client.command("object-add", qom_type="memory-backend-ram", id="m", size=256 * MIB)
            added = client.command("device_add", driver="pc-dimm", id="d", memdev="m")
            assert added == {"return": {}}
            with Client(path, caps=False) as other:
                assert "another client is connected" in other.message()["error"]["desc"]


README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readmes_run_is_a_real_one(tmp_path: Path) -> None:
    (start,) = re.findall(r"```sh\n(guestmap guard --host[^`]*) &\n```", README)
    (script, said) = re.findall(
        r"\$ cat plug.qmp\n([^$]*)\$ socat -t2 - unix:run/vm.sock < plug.qmp\n([^`]*)```", README
    )[0]
    (tmp_path / "layouts").symlink_to(ROOT / "layouts")
    words = shlex.split(start.replace("\\\n", " "))[1:]
    process = subprocess.Popen(
        [sys.executable, "-m", "planner.cli", *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        up(process, "run/vm.sock")
        with contextlib.chdir(tmp_path):
            client = Client("run/vm.sock", caps=False)
        with client:
            lines = [client.line()]
            for each in script.splitlines():
                client.send(each.encode())
                line = client.line()
                while b'"event"' in line:
                    line = client.line()
                lines.append(line)
            assert b"".join(lines).decode().replace("\r", "") == said
            client.send(b'{"execute":"quit"}')
            assert client.ended()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def test_both_sides_may_be_tcp(tmp_path: Path) -> None:
    theirs, ours = free_port(), free_port()
    log = tmp_path / "log"
    extra = ("-qmp", f"tcp:127.0.0.1:{theirs},server=on,wait=off")
    with running(Vm(tmp_path, "qemu-system-x86_64", *Q35, *extra)):
        args = ("--qmp", f"127.0.0.1:{theirs}", "--listen", f"127.0.0.1:{ours}", "--log", log)
        with program("guard", *args) as process:
            wait_for(lambda: log.exists() and '"event": "qemu"' in log.read_text())
            with socket.create_connection(("127.0.0.1", ours), timeout=20) as sock:
                file = sock.makefile("rwb", buffering=0)
                assert b"QMP" in file.readline()
                file.write(b'{"execute":"qmp_capabilities"}{"execute":"query-name","id":1}')
                assert [file.readline(), file.readline()] == [
                    b'{"return": {}}\r\n',
                    b'{"return": {}, "id": 1}\r\n',
                ]
                file.close()
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0


def test_it_comes_back_with_qemu(tmp_path: Path) -> None:
    path = tmp_path / "guard.sock"
    qmp = tmp_path / "qmp.sock"
    with program("guard", "--qmp", qmp, "--listen", path, "--reconnect", "0.05") as process:
        for _ in range(2):
            with running(Vm(tmp_path, "qemu-system-x86_64", *Q35)):
                up(process, path)
                with Client(path) as client:
                    assert client.command("query-name") == {"return": {}}
                    with Client(tmp_path / "truth.sock") as truth:
                        truth.command("quit")
                    assert client.ended()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_the_unit_is_one_systemd_takes(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.fail("systemd-analyze is not installed: apt-get install systemd")
    unit = tmp_path / "guestmap-guard@.service"
    unit.write_text((ROOT / "scripts" / "guestmap-guard@.service").read_text())
    result = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / "guestmap-guard@vm1.service")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


# guestmap hotplug


def ask(vm: Vm, *args: object) -> tuple[int, dict[str, Any]]:
    result = guestmap("hotplug", "--qmp", f"unix:{vm.truth}", "--json", *args)
    return result.returncode, json.loads(result.stdout)["hotplugs"][0]


def test_hotplug_judges_then_performs(vm: Vm, host: Path) -> None:
    base = ("--host", host, "--scope", "host")
    backend = ("--object", "memory-backend-ram,id=m1,size=256M")
    dimm = "pc-dimm,id=d1,memdev=m1"
    code, told = ask(vm, *base, *backend, "--dry-run", dimm)
    assert (code, told["verdict"], told["done"]) == (0, "steer", False)
    assert told["arguments"]["addr"] == "0x140000000"
    code, told = ask(vm, *base, *backend, "--steer", f"{dimm},addr=4G")
    assert (code, told["verdict"], told["done"]) == (1, "refuse", False)
    assert "nearest free address 0x140000000" in told["words"]
    code, told = ask(vm, *base, *backend, "--no-steer", dimm)
    assert (code, told["verdict"]) == (1, "refuse")
    with Client(vm.truth) as truth:
        # Nothing was left behind by the above.
        assert truth.command("query-memdev") == truth.command("query-memdev")
        assert "m1" not in str(truth.command("query-memdev"))
    code, told = ask(vm, *base, *backend, json.dumps({"driver": "pc-dimm", "memdev": "m1"}))
    assert (code, told["verdict"], told["done"]) == (0, "steer", True)
    with Client(vm.truth) as truth:
        (entry,) = truth.command("query-memory-devices")["return"]
    assert entry["data"]["addr"] == 5 * GIB


def test_hotplug_says_so_in_words(vm: Vm, host: Path) -> None:
    base = ("hotplug", "--qmp", f"unix:{vm.truth}", "--host", host, "--scope", "host")
    backend = ("--object", "memory-backend-ram,id=m1,size=256M")
    result = guestmap(*base, *backend, "pc-dimm,id=d1,memdev=m1")
    assert result.stdout == "d1 added, steered to 0x140000000\n"
    assert "MM401" in result.stderr
    # What QEMU refuses in spite of a good verdict takes the objects away again.
    result = guestmap(*base, "--object", "iothread,id=t1", "pc-dimm,id=d1,memdev=m1")
    assert result.returncode == 3
    with Client(vm.truth) as truth:
        assert truth.command("query-iothreads") == {"return": []}


def test_hotplug_needs_a_qemu(tmp_path: Path) -> None:
    result = guestmap("hotplug", "--qmp", f"unix:{tmp_path}/none", "pc-dimm")
    assert result.returncode == 3
    result = guestmap("hotplug", "--qmp", "nothing", "pc-dimm")
    assert result.returncode == 2


@pytest.mark.parametrize(("how", "status"), [("kill", 3), ("quit", 0), ("term", 0)])
def test_the_end_of_a_qemu_that_was_found_is_told(
    how: str, status: int, tmp_path: Path, vm: Vm
) -> None:
    path = tmp_path / "guard.sock"
    with program("guard", "--qmp", vm.qmp, "--listen", path) as process:
        up(process, path)
        with Client(path) as client:
            if how == "quit":
                client.command("quit")
            else:
                vm.process.send_signal(signal.SIGKILL if how == "kill" else signal.SIGTERM)
            assert client.ended()
        assert process.wait(20) == status


def test_systemd_reads_one_status_while_qemu_is_gone(tmp_path: Path) -> None:
    qmp, log = tmp_path / "qmp.sock", tmp_path / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(tmp_path / "notify"))
        notify.settimeout(20)
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "150000"}
        args = ("guard", "--qmp", qmp, "--listen", tmp_path / "g.sock", "--log", log)
        with program(*args, "--reconnect", "0.05", environment=environment) as process:
            said = [notify.recv(4096).decode() for _ in range(30)]
            process.send_signal(signal.SIGTERM)
            process.wait(20)
    statuses = [line for text in said for line in text.splitlines() if line.startswith("STATUS=")]
    assert len(said) == len(statuses)
    assert statuses[0] == "STATUS=waiting for QEMU: not met yet"
    assert len(set(statuses[3:])) == 1
    assert statuses[-1].startswith(f"STATUS=waiting for QEMU: cannot reach QEMU at unix:{qmp}")
    events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert events == ["connect"]
