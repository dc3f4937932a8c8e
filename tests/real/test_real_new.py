"""``guestmap new --from-qmp``: the layout of a real QEMU asks for what that QEMU has."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from kit.real import guestmap, paused_qemu

from planner.cli.exits import FailedError
from planner.layout.load import load
from planner.layout.model import Layout

pytestmark = pytest.mark.qemu

Q35 = (
    "-object memory-backend-ram,id=m0,size=1G,reserve=off -device pc-dimm,id=d0,memdev=m0"
    " -global q35-pcihost.pci-hole64-size=64G"
)
AMD = "layouts/hosts/amd-desktop.yaml"
#: A command line, and what the layout says of its machine and memory.
CASES = [
    (
        "qemu-system-aarch64 -M virt-7.2,gic-version=3,highmem=off -cpu max -name web -m 1G",
        ("web", "virt", "7.2", "max", {"gic-version": "3", "highmem": "off"}),
        (1 << 30, 1 << 30, None),
    ),
    (
        "qemu-system-aarch64 -M virt-7.2 -cpu cortex-a57 -m 1G,slots=2,maxmem=16G",
        ("guest", "virt", "7.2", "cortex-a57", {"gic-version": "2"}),
        (1 << 30, 16 << 30, 2),
    ),
    (
        "qemu-system-x86_64 -M pc-q35-7.2 -cpu EPYC,phys-bits=48 -m 1G,slots=2,maxmem=8G " + Q35,
        (
            "guest",
            "q35",
            "7.2",
            "EPYC,vendor=AuthenticAMD,phys-bits=48",
            {"q35-pcihost.pci-hole64-size": "64G"},
        ),
        (2 << 30, 8 << 30, 2),
    ),
    (
        "qemu-system-x86_64 -M pc-i440fx-7.2,max-ram-below-4g=2G -name a,process=b -m 513M",
        (
            "a",
            "pc",
            "7.2",
            "qemu64,vendor=AuthenticAMD,phys-bits=40",
            {"max-ram-below-4g": "2G"},
        ),
        (513 << 20, 513 << 20, None),
    ),
]


def layout_of(text: str) -> Layout:
    layout, findings = load(text.encode(), "f.yaml")
    assert findings == []
    assert layout is not None
    return layout


@pytest.mark.parametrize(("line", "machine", "memory"), CASES, ids=[c[1][1] for c in CASES])
def test_layout_of_a_running_qemu(
    line: str,
    machine: tuple[str, str, str, str, dict[str, str]],
    memory: tuple[int, int, int | None],
) -> None:
    with paused_qemu(line.split()) as address:
        text = guestmap("new", "--from-qmp", address).stdout
    assert "# From a running QEMU " in text
    layout = layout_of(text)
    found = layout.machine
    assert (layout.name, found.type, found.version, found.cpu, found.options) == machine
    assert (layout.memory.size, layout.memory.max or layout.memory.size, layout.memory.slots) == (
        memory
    )


def test_what_is_given_goes_before_what_qemu_has() -> None:
    words = "qemu-system-aarch64 -M virt-7.2 -cpu max -m 1G -name web"
    with paused_qemu(words.split()) as address:
        text = guestmap("new", "--from-qmp", address, "--name", "db", "--memory", "2GiB").stdout
    layout = layout_of(text)
    assert (layout.name, layout.memory.size) == ("db", 2 << 30)


def test_the_layout_of_a_running_qemu_plans_to_that_qemus_map(tmp_path: Path) -> None:
    """What was taken over must be enough: where nothing has to move, the map is the same."""
    words = "qemu-system-x86_64 -M pc-q35-7.2 -cpu qemu64,vendor=GenuineIntel -m 3G"
    plan = tmp_path / "plan.json"
    with paused_qemu(words.split()) as address:
        (tmp_path / "guest.yaml").write_text(guestmap("new", "--from-qmp", address).stdout)
        guestmap("plan", str(tmp_path / "guest.yaml"), "--host", AMD, "-o", str(plan))
        result = guestmap("verify", str(plan), "--qmp", address)
    assert result.stdout == "verified: QEMU's real map is the plan's\n", result.output


def test_a_board_the_tables_do_not_know() -> None:
    with (
        paused_qemu(["qemu-system-x86_64", "-M", "microvm"]) as address,
        pytest.raises(click.UsageError, match="QEMU cannot be taken over: machine 'microvm'"),
    ):
        guestmap("new", "--from-qmp", address)


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(FailedError, match="No such file or directory"):
        guestmap("new", "--from-qmp", f"unix:{tmp_path}/none")
    with pytest.raises(click.BadParameter, match="'none' is not an address; write unix:PATH"):
        guestmap("new", "--from-qmp", "none")
    with pytest.raises(click.UsageError, match="--from and --qmp exclude each other"):
        guestmap("new", "--from", "--from-qmp", "unix:x", "--", "qemu-system-x86_64")
