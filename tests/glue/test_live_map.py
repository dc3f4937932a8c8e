"""Reading a running QEMU, and whoever is not one."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from kit import cli_runner
from kit.real import paused_qemu

from planner.cli.map import command
from qmp_glue import session
from qmp_glue.addresses import parse_monitor
from qmp_glue.errors import GarbageError, LostError, SilentError, UnreachableError
from qmp_glue.live import live_map
from qmp_glue.probe import probe


def run(*args: str) -> Result:
    return cli_runner().invoke(command, args)


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="No such file or directory"):
        live_map(parse_monitor(f"unix:{tmp_path}/none"))
    dead = tmp_path / "dead"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(dead))
    with pytest.raises(UnreachableError, match="Connection refused"):
        live_map(parse_monitor(f"unix:{dead}"))


@contextlib.contextmanager
def answering(path: Path, data: bytes, *, close: bool) -> Iterator[None]:
    """Listen at *path*, send *data* to the first who comes, and hang up or wait."""
    done = threading.Event()

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(data)
            if not close:
                done.wait(30)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join(30)


@pytest.mark.parametrize(
    ("data", "close", "kind", "why"),
    [
        (b"", False, SilentError, "no greeting within 0.3 seconds"),
        (b"", True, LostError, "the connection ended before any greeting"),
        (b"SSH-2.0-OpenSSH\r\n", False, GarbageError, "is not a QMP monitor"),
        (b'{"QMP": 1}\n', False, GarbageError, "is not a QMP monitor"),
    ],
)
def test_somebody_else_there(
    data: bytes,
    close: bool,
    kind: type[Exception],
    why: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session.Session.open.__func__, "__defaults__", ("", 0.3))  # type: ignore[attr-defined]
    path = tmp_path / "socket"
    with answering(path, data, close=close), pytest.raises(kind, match=why):
        live_map(parse_monitor(f"unix:{path}"))


@pytest.fixture
def running() -> Iterator[tuple[list[str], Path]]:
    """Start a paused QEMU with a monitor of its own."""
    words = ["qemu-system-x86_64", "-M", "q35", "-m", "256M,slots=1,maxmem=1G"]
    with paused_qemu(words) as address:
        yield words, Path(address.removeprefix("unix:"))


@pytest.mark.qemu
def test_a_running_qemu_has_the_map_of_its_probe(running: tuple[list[str], Path]) -> None:
    words, path = running
    live, probed = live_map(parse_monitor(f"unix:{path}")), probe(words).map
    assert live.source == "live"
    assert (live.regions, live.windows, live.qemu) == (probed.regions, probed.windows, probed.qemu)


@pytest.mark.qemu
def test_a_monitor_that_another_client_holds(
    running: tuple[list[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, path = running
    monkeypatch.setattr(session.Session.open.__func__, "__defaults__", ("", 0.5))  # type: ignore[attr-defined]
    with socket.socket(socket.AF_UNIX) as other:
        other.connect(str(path))
        assert b"QMP" in other.recv(4096)
        result = run("--qmp", f"unix:{path}")
    assert result.exit_code == 3
    assert "another one may hold it" in result.stderr


@pytest.mark.qemu
def test_probe_model_and_live_print_one_document(running: tuple[list[str], Path]) -> None:
    words, path = running
    live = json.loads(run("--qmp", f"unix:{path}", "--json").stdout)
    probed = json.loads(run("--json", "--", *words).stdout)
    modelled = json.loads(
        run("--model", "--qemu-version", probed["qemu"], "--json", "--", *words).stdout
    )
    assert [data["source"] for data in (probed, modelled, live)] == ["probe", "model", "live"]
    assert probed["format"], probed["version"] == ("guestmap/map", 1)
    for key in ("regions", "windows", "machine", "qemu"):
        assert probed[key] == modelled[key] == live[key]


@pytest.mark.qemu
@pytest.mark.parametrize(
    ("program", "machine", "family", "region"),
    [
        ("qemu-system-x86_64", "microvm", "microvm", "microvm.ram@0x0"),
        ("qemu-system-aarch64", "sbsa-ref", "sbsa-ref", "sbsa-ref.ram"),
        ("qemu-system-arm", "virt", "virt", "mach-virt.ram"),
        ("qemu-system-riscv64", "virt", "riscv-virt", "riscv_virt_board.ram"),
        ("qemu-system-loongarch64", "virt", "loongarch-virt", "loongarch.ram@0x0"),
    ],
)
def test_boards_without_tables_go_by_probe(
    program: str, machine: str, family: str, region: str
) -> None:
    found = probe([program, "-M", machine, "-m", "2G"]).map
    assert found.machine == family
    assert found.target == program.removeprefix("qemu-system-")
    names = {item.name for item in found.regions}
    assert region in names or any(name.startswith(region.partition("@")[0]) for name in names)


@pytest.mark.qemu
def test_memory_backends_on_files_leave_no_file(tmp_path: Path) -> None:
    backend = f"memory-backend-file,id=m0,size=1G,mem-path={tmp_path}/ram,align=512M,share=on"
    words = ["qemu-system-x86_64", "-M", "q35", "-m", "256M,slots=1,maxmem=8G"]
    words += ["-object", backend, "-device", "pc-dimm,memdev=m0,id=d0"]
    dimm = next(item for item in probe(words).map.regions if item.name == "d0")
    assert str(dimm.span) == "0x100000000-0x13fffffff"
    assert list(tmp_path.iterdir()) == []
