"""What a command line asks of the guest: nodes it does not have, and its kernel's command line."""

from __future__ import annotations

import shlex

import pytest
from kit import ROOT

from planner.argv.edit import edited
from planner.argv.line import CommandLine, parse_argv
from planner.guest.kernel import ONLINE
from planner.host.profile import Scope
from planner.host.read import read_host
from planner.judge.asked import judge_asked
from planner.judge.forbidden import bind
from planner.judge.hotplug import Plug, judge_memory
from planner.machine.change import TellKernel
from planner.place.check import binding_of
from planner.place.repair import repair
from planner.span import GIB, MIB, TIB, Span

NODES = (
    "qemu-system-x86_64 -M q35 -smp 2 -m 2G,slots=2,maxmem=4G"
    " -object memory-backend-ram,id=a,size=2G -object memory-backend-ram,id=m,size=1G"
    " -device pc-dimm,id=d,memdev=m,node=1 -numa node,nodeid=0,memdev=a{}"
)


def line(text: str) -> CommandLine:
    return parse_argv(shlex.split(text))


@pytest.mark.parametrize(
    ("nodes", "lost"),
    [
        (",cpus=0-1 -numa node,nodeid=1 -numa node,nodeid=2", True),
        (" -numa node -numa node -numa cpu,node-id=0,socket-id=0", True),
        # The last node is where QEMU lists the range for plugged memory.
        (",cpus=0-1 -numa node,nodeid=1", False),
        (",cpus=0 -numa node,nodeid=1,cpus=1 -numa node,nodeid=2", False),
        (" -numa node -numa node -numa cpu,node-id=1,socket-id=0", False),
        # QEMU spreads the CPUs itself.
        (" -numa node,nodeid=1 -numa node,nodeid=2", False),
    ],
)
def test_a_piece_in_a_node_that_the_guest_lacks(nodes: str, lost: bool) -> None:
    found = judge_asked(line(NODES.format(nodes)).asked())
    assert [f.code for f in found] == (["MM211"] if lost else [])
    if lost:
        assert found[0].message.startswith("'d' is in NUMA node 1, which has neither CPUs nor boot")


KERNEL = (
    "qemu-system-x86_64 -M q35 -m 2G,slots=2,maxmem=4G -object memory-backend-ram,id=m,size=1G"
    " -device pc-dimm,id=d,memdev=m"
)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("", None),
        (" -kernel vmlinuz", ""),
        (" -kernel vmlinuz -append 'quiet a'", "quiet a"),
        (f" -kernel vmlinuz -append {ONLINE}_kernel", f"{ONLINE}_kernel"),
    ],
)
def test_a_kernel_that_qemu_loads_has_to_be_told(more: str, said: str | None) -> None:
    given = line(KERNEL + more)
    assert given.kernel_line == said
    found = judge_asked(given.asked())
    needs = said is not None and ONLINE not in said
    assert [(f.code, f.severity, f.notes) for f in found] == (
        [("MM212", "note", (ONLINE,))] if needs else []
    )
    if needs:
        told = edited(given, [TellKernel(ONLINE)])
        assert told.kernel_line == f"{said} {ONLINE}".lstrip()
        assert judge_asked(told.asked()) == []


@pytest.mark.parametrize("kernel", [True, False])
def test_a_proposal_with_pieces_tells_the_kernel(kernel: bool) -> None:
    text = "qemu-system-aarch64 -M virt-7.2 -m 4G" + (" -kernel Image -append quiet" * kernel)
    host = read_host(str(ROOT / "layouts/hosts/amd-desktop.yaml"))
    asked = line(text).asked()
    found = repair(asked, binding_of(asked, [host]))
    assert (TellKernel(ONLINE) in found.changes) == kernel
    assert (f"{ONLINE} for the guest's kernel" in found.words) == kernel


def test_a_hotplug_off_the_guests_blocks_is_told() -> None:
    window = Span.sized(TIB, 64 * GIB)
    plug = Plug("d", 256 * MIB, 2 * MIB)
    free = bind([], Scope.ASSIGNED, [])
    told = judge_memory(plug, window, [], free, frozenset(), block=2 * GIB)
    assert [(f.code, f.severity) for f in told.findings] == [("MM209", "warning")]
    assert told.fits
    assert judge_memory(plug, window, [], free, frozenset()).findings == ()
