"""A guest that is asked: a real QEMU with an agent's port, and nobody behind it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kit import ROOT
from kit.real import code_of, guestmap, paused_qemu

from qmp_glue.addresses import parse_monitor
from qmp_glue.asks import Asks
from qmp_glue.live import at_monitor

pytestmark = pytest.mark.qemu

PLAIN = "schema: 1\nname: guest\nmachine: {type: virt, cpu: max}\nmemory: {size: 4GiB}\n"


def test_a_paused_guest_and_one_without_agent_are_told_apart(tmp_path: Path) -> None:
    layout, plan = tmp_path / "guest.yaml", str(tmp_path / "plan.json")
    layout.write_text(PLAIN, encoding="utf-8")
    host = str(ROOT / "layouts/hosts/amd-desktop.yaml")
    assert code_of(guestmap("plan", str(layout), "--host", host, "-o", plan)) == 0
    argv = json.loads(guestmap("args", plan, "--no-reserve", "--json").stdout)["argv"]
    agent = tmp_path / "agent.sock"
    argv += ["-chardev", f"socket,id=ga,path={agent},server=on,wait=off"]
    argv += ["-device", "virtio-serial-pci"]
    argv += ["-device", "virtserialport,chardev=ga,name=org.qemu.guest_agent.0"]

    async def run(asks: Asks) -> None:
        await asks.execute("cont")

    with paused_qemu(argv) as address:
        asked = ("--qmp", address, "--agent", f"unix:{agent}")
        paused = guestmap("verify", plan, *asked)
        assert code_of(paused) == 1
        assert "error[MM612] guest-silent: the guest cannot be asked: it is prelaunch" in (
            paused.stdout
        )
        at_monitor(parse_monitor(address), run)
        alone = guestmap("apply", plan, *asked)
        assert code_of(alone) == 1
        assert "the guest cannot be asked: no agent has the port open" in alone.stdout
        assert "no answer to guest-sync-delimited within 5 seconds" in alone.stdout
        # Without the agent QEMU tells that nothing is plugged.
        told = guestmap("verify", plan, "--qmp", address)
        assert "the guest has plugged nothing of the 1152 MiB asked for" in told.stdout
        assert code_of(told) == 0
