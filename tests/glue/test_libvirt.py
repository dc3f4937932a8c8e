"""A domain whose monitor libvirt holds, read through a virsh that stands in for libvirt's."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from kit import cli_runner
from kit.guard import Vm, running
from kit.real import code_of, guestmap

from planner.cli import group
from qmp_glue.addresses import MonitorAddress
from qmp_glue.errors import CommandError, GarbageError, SilentError, UnreachableError
from qmp_glue.libvirt import LibvirtMonitor
from qmp_glue.live import at_monitor, live_map

WEB = MonitorAddress(domain="web")
#: Says what it was called with, then does what a test wants of it.
_HEAD = """#!{python}
import json, os, sys, time
flag, command, domain, line = sys.argv[1:]
assert (flag, command, os.environ["LC_ALL"]) == ("-q", "qemu-monitor-command", "C"), sys.argv
if domain != "--domain=web":
    sys.exit(f"error: failed to get domain '{{domain[9:]}}'")
"""
#: Carries the question to a real QEMU's socket, as libvirt would.
_RELAY = """
sys.path.insert(0, {scripts!r})
from labkit.qmp import Client
told = json.loads(line)
with Client({socket!r}) as client:
    print(json.dumps(client.ask(told["execute"], told.get("arguments")) | {{"id": "libvirt-9"}}))
"""


@pytest.fixture
def virsh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a virsh first on the PATH; a test writes what it does."""
    path = tmp_path / "bin" / "virsh"
    path.parent.mkdir()
    monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")
    return path


def act(virsh: Path, body: str) -> None:
    virsh.write_text(_HEAD.format(python=sys.executable) + body, encoding="utf-8")
    virsh.chmod(0o755)


@pytest.fixture
def domain(virsh: Path, tmp_path: Path) -> Iterator[Path]:
    """Start a QEMU that libvirt would call ``web``; yield its other monitor."""
    scripts = Path(__file__).resolve().parents[2] / "scripts"
    memory = ("-m", "256M,slots=1,maxmem=1G", "-name", "web")
    with running(Vm(tmp_path, "qemu-system-x86_64", "-M", "q35", *memory)) as vm:
        act(virsh, _RELAY.format(scripts=str(scripts), socket=str(vm.qmp)))
        yield vm.truth


def run(*args: object) -> Result:
    return cli_runner().invoke(group, [*map(str, args)])


@pytest.mark.qemu
def test_its_map_is_the_one_its_own_monitor_tells(domain: Path) -> None:
    assert live_map(WEB) == live_map(MonitorAddress(path=str(domain)))


@pytest.mark.qemu
@pytest.mark.parametrize(
    "words",
    [
        ("map", "--qmp", "libvirt:web"),
        ("show", "--qmp", "libvirt:web"),
        ("new", "--from-qmp", "libvirt:web"),
        ("diff", "layouts/x86-hp-gen9.yaml", "--json", "--qmp", "libvirt:web"),
    ],
    ids=lambda words: words[0],
)
def test_what_only_reads_takes_it(domain: Path, words: tuple[str, ...]) -> None:
    told = run(*words)
    assert told.exit_code == 0, told.stderr
    at = words[-1]
    plain = run(*words[:-1], f"unix:{domain}").stdout
    assert told.stdout == plain.replace(f"unix:{domain}", at)


@pytest.mark.qemu
def test_verify_reads_it(domain: Path, tmp_path: Path) -> None:
    plan = str(tmp_path / "plan.json")
    guestmap("plan", "layouts/arm-guest-on-amd.yaml", "-o", plan)
    result = guestmap("verify", plan, "--qmp", "libvirt:web")
    assert code_of(result) == 1
    assert "the running QEMU is a pc-q35-" in result.stdout


@pytest.mark.qemu
def test_qemus_own_refusal_is_qemus(domain: Path) -> None:
    async def ask() -> None:
        asks = await LibvirtMonitor.open("web")
        assert str(asks.version).count(".") == 2
        assert await asks.get("/machine", "no-such") is None
        await asks.execute("qom-get", {"path": "/nowhere", "property": "x"})

    with pytest.raises(CommandError, match="qom-get: Device '/nowhere' not found"):
        asyncio.run(ask())


def test_a_domain_nobody_has(virsh: Path) -> None:
    act(virsh, "")
    result = run("map", "--qmp", "libvirt:mail")
    assert result.exit_code == 3
    assert "libvirt:mail: virsh says: failed to get domain 'mail'" in result.stderr
    assert "LIBVIRT_DEFAULT_URI" in result.stderr


def test_no_virsh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnreachableError, match="virsh cannot be started: No such file"):
        live_map(WEB)


def test_a_virsh_that_hangs_is_ended(virsh: Path, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    act(virsh, f"open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(60)")

    async def ask() -> Any:
        return await LibvirtMonitor("web").execute("query-status", seconds=1.0)

    started = time.monotonic()
    with pytest.raises(SilentError, match="no answer to query-status through virsh within 1 sec"):
        asyncio.run(ask())
    assert time.monotonic() - started < 30
    assert not Path(f"/proc/{pid.read_text()}").exists()


@pytest.mark.parametrize("said", ["", "hello", "[]", "5", json.dumps({"id": "libvirt-1"})])
def test_nonsense(virsh: Path, said: str) -> None:
    act(virsh, f"print({said!r})")
    with pytest.raises(GarbageError, match="virsh answered query-version with"):
        at_monitor(WEB, lambda asks: asks.text("info mtree"))
