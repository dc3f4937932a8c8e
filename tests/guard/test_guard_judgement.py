"""The guard before a real QEMU: what it refuses, steers and passes, and that it had to."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from kit.guard import Guard, Memory, Vm, running
from labkit.qmp import Client

from planner.host.profile import Scope
from planner.span import GIB, MIB, Span, SpanSet
from qmp_glue.guard.policy import Policy, PolicyOptions
from qmp_glue.guard.verdicts import Rewrite

pytestmark = pytest.mark.qemu

#: Boot memory and room for plugged memory; device memory begins at 4 GiB on q35, 2 GiB on virt.
MEMORY = "1G,slots=32,maxmem=17G"
PORTS = [
    part
    for at in range(6)
    for part in ("-device", f"pcie-root-port,id=rp{at},chassis={at + 1},slot={at + 1}")
]
MACHINES = {
    "q35": ("qemu-system-x86_64", "-M", "q35,nvdimm=on", "-m", MEMORY, *PORTS),
    "virt": ("qemu-system-aarch64", "-M", "virt,nvdimm=on", "-cpu", "max", "-m", MEMORY, *PORTS),
}
BASE = {"q35": 4 * GIB, "virt": 2 * GIB}
TYPES = ("reserved", "msi")


def vm_of(machine: str, folder: Path) -> Vm:
    program, *args = MACHINES[machine]
    if machine == "virt":
        # Any firmware makes the GED, which takes DIMMs.
        firmware = folder / "firmware"
        firmware.write_bytes(bytes(4096))
        args += ["-bios", str(firmware)]
    return Vm(folder, program, *args)


def host_file(folder: Path, holes: list[Span]) -> str:
    path = folder / "host.txt"
    lines = [
        f"/sys/kernel/iommu_groups/3/reserved_regions:"
        f"0x{hole.start:016x} 0x{hole.last:016x} {TYPES[at % 2]}\n"
        for at, hole in enumerate(sorted(holes))
    ]
    path.write_text("".join(lines) or "/sys/kernel/iommu_groups/3/reserved_regions:")
    return str(path)


def guard_of(folder: Path, vm: Vm, holes: list[Span], **options: Any) -> Guard:
    chosen = PolicyOptions(hosts=(host_file(folder, holes),), scope=Scope.HOST, **options)
    return Guard(folder, vm.qmp, Policy(chosen), Memory())


class Bench:
    """A VM, a guard in front of it, a client of the guard and one of the truth."""

    def __init__(self, machine: str, vm: Vm, guard: Guard, client: Client, truth: Client) -> None:
        self.machine = machine
        self.base = BASE[machine]
        self.vm = vm
        self.guard = guard
        self.client = client
        self.truth = truth
        self.count = 0
        self.journal = guard.journal

    def backend(self, size: int) -> str:
        self.count += 1
        name = f"m{self.count}"
        made = self.client.command(
            "object-add", qom_type="memory-backend-ram", id=name, size=size, reserve=False
        )
        assert made == {"return": {}}
        return name

    def add(self, driver: str, size: int, **arguments: Any) -> dict[str, Any]:
        memdev = self.backend(size)
        return self.client.command(
            "device_add", driver=driver, id=f"d{self.count}", memdev=memdev, **arguments
        )

    def human(self, line: str) -> Any:
        return self.client.command("human-monitor-command", command_line=line)

    def map(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.truth.command("query-memory-devices")["return"]
        return found


HOLE = {machine: Span.sized(base + GIB, 512 * MIB) for machine, base in BASE.items()}


@pytest.fixture(params=sorted(MACHINES))
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    machine = request.param
    with (
        running(vm_of(machine, tmp_path)) as vm,
        running(guard_of(tmp_path, vm, [HOLE[machine]])) as guard,
        Client(guard.path) as client,
        Client(vm.truth) as truth,
    ):
        yield Bench(machine, vm, guard, client, truth)


@pytest.mark.parametrize("spelling", ["number", "decimal text", "hexadecimal text"])
@pytest.mark.parametrize("driver", ["pc-dimm", "nvdimm", "virtio-mem-pci"])
def test_a_collision_is_refused_by_qmp(bench: Bench, driver: str, spelling: str) -> None:
    addr = HOLE[bench.machine].start - 256 * MIB
    told: Any = {"number": addr, "decimal text": str(addr)}.get(spelling, f"{addr:#x}")
    key = {"virtio-mem-pci": "memaddr"}.get(driver, "addr")
    more = {"bus": "rp0", "requested-size": 512 * MIB} if driver == "virtio-mem-pci" else {}
    before = bench.map()
    reply = bench.add(driver, 512 * MIB, **{key: told}, **more)
    hole = HOLE[bench.machine]
    assert reply["error"] == {
        "class": "GenericError",
        "desc": (
            f"guestmap MM401: memory 'd1' [{addr:#x}-{addr + 512 * MIB - 1:#x}] covers reserved"
            f" [{hole}] of group 3 on host (256 MiB at [{hole.start:#x}-"
            f"{hole.start + 256 * MIB - 1:#x}]): no device of it could be assigned any more;"
            f" nearest free address {hole.start - 512 * MIB:#x}"
        ),
    }
    assert bench.map() == before


@pytest.mark.parametrize("driver", ["pc-dimm", "nvdimm", "virtio-mem-pci"])
def test_a_collision_is_refused_by_hmp(bench: Bench, driver: str) -> None:
    memdev = bench.backend(512 * MIB)
    addr = HOLE[bench.machine].start
    key = {"virtio-mem-pci": "bus=rp0,requested-size=512M,memaddr"}.get(driver, "addr")
    before = bench.map()
    reply = bench.human(f"device_add {driver},id=dh,memdev={memdev},{key}={addr:#x}")
    assert reply["error"]["desc"].startswith(f"guestmap MM401: memory 'dh' [{addr:#x}-")
    assert bench.map() == before


@pytest.mark.parametrize("addr", [None, 0, "0", "0x0"])
def test_a_dimm_without_an_address_is_steered_clear(bench: Bench, addr: Any) -> None:
    told = {} if addr is None else {"addr": addr}
    assert bench.add("pc-dimm", GIB, **told) == {"return": {}}
    assert bench.add("pc-dimm", 256 * MIB, **told) == {"return": {}}
    hole = HOLE[bench.machine]
    where = [entry["data"]["addr"] for entry in bench.map()]
    assert where == [bench.base, hole.end]
    (notes,) = [
        verdict
        for name, told in bench.journal.lines
        if name == "judged"
        for verdict in [told[1]]
        if isinstance(verdict, Rewrite)
    ]
    assert notes.words == f"steered to {hole.end:#x}"
    assert "covers reserved" in notes.findings[0].message


def test_a_dimm_by_hmp_is_steered_too(bench: Bench) -> None:
    bench.add("pc-dimm", GIB)
    for number, extra in enumerate(["", ",addr=0"]):
        memdev = bench.backend(256 * MIB)
        assert bench.human(f"device_add pc-dimm{extra},id=h{number},memdev={memdev}") == {
            "return": ""
        }
    hole = HOLE[bench.machine]
    where = {entry["data"]["id"]: entry["data"]["addr"] for entry in bench.map()}
    assert where == {"d1": bench.base, "h0": hole.end, "h1": hole.end + 256 * MIB}


def test_a_virtio_mem_without_an_address_is_steered_by_its_whole_size(bench: Bench) -> None:
    more = {"bus": "rp0", "requested-size": 128 * MIB}
    assert bench.add("virtio-mem-pci", 2 * GIB, **more) == {"return": {}}
    (entry,) = bench.map()
    assert entry["data"]["memaddr"] == HOLE[bench.machine].end


def test_a_resize_into_a_hole_is_refused_and_one_before_it_passes(bench: Bench) -> None:
    hole = HOLE[bench.machine]
    more: dict[str, Any] = {"bus": "rp0", "memaddr": hole.start - 2 * GIB + GIB}
    if bench.machine == "virt":
        more["memaddr"] = bench.base
    size = 3 * GIB
    assert bench.add("virtio-mem-pci", size, **more) == {"return": {}}
    room = hole.start - more["memaddr"]
    # The guest may use more than is requested by two memory blocks.
    extent = {"q35": 256 * MIB, "virt": GIB}[bench.machine]
    if room > extent:
        fits = room - extent
        assert bench.client.command(
            "qom-set", path="d1", property="requested-size", value=fits
        ) == {"return": {}}
    for value in (room, size):
        reply = bench.client.command("qom-set", path="d1", property="requested-size", value=value)
        assert "covers reserved" in reply["error"]["desc"]
        assert reply["error"]["desc"].startswith("guestmap MM401: memory 'd1' ")
    reply = bench.human(f"qom-set d1 requested-size {size // MIB}M")
    assert "covers reserved" in reply["error"]["desc"]
    now = bench.truth.command("qom-get", path="d1", property="requested-size")
    assert now == {"return": max(0, room - extent)}
    # Shrinking is never in the way.
    assert bench.client.command("qom-set", path="d1", property="requested-size", value=0) == {
        "return": {}
    }


def test_without_steering_it_is_refused(tmp_path: Path) -> None:
    with (
        running(vm_of("q35", tmp_path)) as vm,
        running(guard_of(tmp_path, vm, [HOLE["q35"]], steer=False)) as guard,
        Client(guard.path) as client,
        Client(vm.truth) as truth,
    ):
        bench = Bench("q35", vm, guard, client, truth)
        assert bench.add("pc-dimm", GIB) == {"return": {}}
        reply = bench.add("pc-dimm", GIB)
        assert "nearest free address 0x160000000" in reply["error"]["desc"]
        assert len(bench.map()) == 1


def test_what_lies_in_no_hole_is_qemus_to_refuse(bench: Bench) -> None:
    said = [
        bench.add("pc-dimm", 512 * MIB, addr=bench.base + 4096),
        bench.add("pc-dimm", GIB, addr=1 << 45),
        bench.add("pc-dimm", GIB, addr=4096),
        bench.client.command("nosuch-command"),
    ]
    assert all("error" in reply for reply in said)
    assert [("guestmap" in reply["error"]["desc"]) for reply in said] == [False] * len(said)
    assert said[-1]["error"]["class"] == "CommandNotFound"


def test_what_cannot_be_judged_is_not_left_to_qemu(bench: Bench) -> None:
    said = [
        bench.client.command("device_add", driver="pc-dimm", id="x"),
        bench.client.command("device_add", driver="pc-dimm", id="x", memdev="none"),
        bench.client.command("device_add", driver="nosuch"),
        bench.client.command("device_add"),
        bench.client.command("qom-set", path="nowhere", property="x", value=1),
    ]
    assert all("guestmap MM701: cannot judge: " in reply["error"]["desc"] for reply in said)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("device_add 'pc-dimm',id=x", "quotes"),
        ('device_add "pc-dimm,id=x"', "quotes"),
        ("device_add/x pc-dimm", "no plain command name"),
        ("device_add pc-dimm,id=x,id=y", "a key stands twice"),
        ("nosuch 1", "'nosuch' stands in no table"),
        ("qom-set -k a b c", "other than path, property"),
    ],
)
def test_human_lines_that_are_not_understood_are_refused(
    bench: Bench, line: str, words: str
) -> None:
    reply = bench.human(line)
    assert reply["error"]["desc"].startswith("guestmap MM701: cannot judge: ")
    assert words in reply["error"]["desc"]


@pytest.mark.parametrize("addr", ["0100", "-1", "1e9", True, 1 << 64, "4 GiB"])
def test_addresses_that_may_be_read_otherwise_are_refused(bench: Bench, addr: Any) -> None:
    reply = bench.add("pc-dimm", GIB, addr=addr)
    assert reply["error"]["desc"].startswith("guestmap MM701: cannot judge: addr ")


def test_properties_of_the_table_pass_and_no_others(bench: Bench) -> None:
    memdev = bench.backend(GIB)
    for path, name, value in (
        (f"/objects/{memdev}", "share", True),
        ("/machine/peripheral/rp0", "realized", False),
        ("/machine", "dump-guest-core", True),
    ):
        reply = bench.client.command("qom-set", path=path, property=name, value=value)
        assert f"MM701: cannot judge: property '{name}' of " in reply["error"]["desc"]
    assert bench.client.command(
        "qom-set", path=f"/objects/{memdev}", property="dump", value=False
    ) == {"return": {}}


def test_unreadable_facts_refuse_and_fail_open_passes(tmp_path: Path) -> None:
    for fail_open in (False, True):
        folder = tmp_path / str(fail_open)
        folder.mkdir()
        with (
            running(vm_of("q35", folder)) as vm,
            running(guard_of(folder, vm, [], fail_open=fail_open)) as guard,
            Client(guard.path) as client,
            Client(vm.truth) as truth,
        ):
            (folder / "host.txt").unlink()
            reply = Bench("q35", vm, guard, client, truth).add("pc-dimm", GIB)
            if fail_open:
                assert reply == {"return": {}}
                told = guard.journal.lines[-1][1][1]
                assert told.words.startswith("passed without judgement: the host's facts cannot")
            else:
                assert "MM701: cannot judge: the host's facts cannot" in reply["error"]["desc"]


def test_a_truncated_file_is_no_freedom(tmp_path: Path) -> None:
    with (
        running(vm_of("q35", tmp_path)) as vm,
        running(guard_of(tmp_path, vm, [])) as guard,
        Client(guard.path) as client,
        Client(vm.truth) as truth,
    ):
        (tmp_path / "host.txt").write_text(
            "/sys/kernel/iommu_groups/3/reserved_regions:0x00000000fee00000 0x00000000"
        )
        reply = Bench("q35", vm, guard, client, truth).add("pc-dimm", GIB)
        assert "error" in reply


def test_with_nothing_assigned_scope_assigned_needs_no_facts(tmp_path: Path) -> None:
    judge = Policy(PolicyOptions(hosts=(str(tmp_path / "none"),)))
    with (
        running(vm_of("q35", tmp_path)) as vm,
        running(Guard(tmp_path, vm.qmp, judge)) as guard,
        Client(guard.path) as client,
        Client(vm.truth) as truth,
    ):
        assert Bench("q35", vm, guard, client, truth).add("pc-dimm", GIB) == {"return": {}}


@pytest.mark.parametrize("reaches", [False, True])
def test_a_state_that_may_fill_a_hole_is_not_loaded(tmp_path: Path, *, reaches: bool) -> None:
    size = 2 * GIB if reaches else GIB
    device = "virtio-mem-pci,id=v0,memdev=m0,requested-size=0,memaddr=4294967296"
    vm = Vm(
        tmp_path,
        *MACHINES["q35"],
        *("-object", f"memory-backend-ram,id=m0,size={size},reserve=off", "-device", device),
        *("-incoming", "defer"),
    )
    uri = f"unix:{tmp_path}/incoming"
    with (
        running(vm),
        running(guard_of(tmp_path, vm, [HOLE["q35"]])) as guard,
        Client(guard.path) as client,
    ):
        told = client.command("migrate-incoming", uri=uri)
        human = {"command-line": f"migrate_incoming {uri}"}
        second = client.command("human-monitor-command", **human)
    if reaches:
        assert told["error"]["desc"].startswith("guestmap MM401: memory 'v0' [0x100000000-")
        assert second["error"]["desc"] == told["error"]["desc"]
    else:
        assert told == {"return": {}}
        assert "error" not in second


# Arrangements.

BLOCK = 128 * MIB
#: Arrangements tried on each machine; ``GUESTMAP_ARRANGEMENTS=100`` for the long tier.
EXAMPLES = int(os.environ.get("GUESTMAP_ARRANGEMENTS", "4"))


@st.composite
def arrangements(draw: st.DrawFn) -> tuple[list[tuple[int, int]], list[tuple[str, int, int, int]]]:
    """Draw holes (start, size) and commands (kind, size, address, form), all in blocks."""
    holes = draw(
        st.lists(st.tuples(st.integers(0, 200), st.integers(1, 24)), min_size=1, max_size=4)
    )
    kinds = st.sampled_from(
        ["pc-dimm", "pc-dimm", "nvdimm", "virtio-mem-pci", "resize", "resize", "noise"]
    )
    command = st.tuples(kinds, st.integers(1, 12), st.integers(-3, 200), st.integers(0, 3))
    return holes, draw(st.lists(command, min_size=50, max_size=50))


@pytest.mark.parametrize("machine", sorted(MACHINES))
# Each try starts several QEMUs: a failing example is shown as it was drawn.
@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(drawn=arrangements())
def test_no_sequence_puts_memory_where_it_may_not_be(
    machine: str, drawn: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    holes, commands = drawn
    base = BASE[machine]
    spans = list(SpanSet(Span.sized(base + at * BLOCK, n * BLOCK) for at, n in holes))
    folder = tmp_path_factory.mktemp("arrangement")
    with (
        running(vm_of(machine, folder)) as vm,
        running(guard_of(folder, vm, spans)) as guard,
        Client(guard.path) as client,
        Client(vm.truth) as truth,
    ):
        bench = Bench(machine, vm, guard, client, truth)
        refused: list[Refused] = []
        ports = [f"rp{at}" for at in range(5)]
        for kind, size, at, form in commands:
            told = spell(bench, kind, size * BLOCK, at, form, ports)
            if told is None:
                continue
            before = bench.map()
            client.send(json.dumps({**told, "id": "x"}).encode())
            reply = client.reply()
            if "guestmap" in str(reply.get("error")):
                assert bench.map() == before
                refused.append(Refused(before, told, size * BLOCK, bench.count, reply))
            assert_clear(bench, spans)
    for each in refused[:3]:
        assert_needed(machine, tmp_path_factory.mktemp("needed"), spans, each)


@dataclass
class Refused:
    """A refusal, and the memory devices there were."""

    before: list[dict[str, Any]]
    told: dict[str, Any]
    size: int
    count: int
    reply: dict[str, Any]


def spell(
    bench: Bench, kind: str, size: int, at: int, form: int, ports: list[str]
) -> dict[str, Any] | None:
    """Make one command of an arrangement; backends are made on the way, sparing of ports."""
    if kind == "noise":
        return {"execute": ("query-status", "stop", "query-pci", "nosuch")[form]}
    if kind == "resize":
        path = next((e["data"]["id"] for e in bench.map() if e["type"] == "virtio-mem"), "nothing")
        value = {"path": path, "property": "requested-size", "value": size}
        if form == 3:
            line = f"qom-set {path} requested-size {size // MIB}M"
            return {"execute": "human-monitor-command", "arguments": {"command-line": line}}
        return {"execute": "qom-set", "arguments": value}
    arguments: dict[str, Any] = {"driver": kind, "id": f"d{bench.count + 1}"}
    if kind == "virtio-mem-pci":
        if not ports:
            return None
        arguments |= {"bus": ports.pop(), "requested-size": size // 2 // (2 * MIB) * (2 * MIB)}
    arguments["memdev"] = bench.backend(size)
    if at >= 0:
        addr = bench.base + at * BLOCK
        arguments["memaddr" if kind == "virtio-mem-pci" else "addr"] = (
            addr if form % 2 else f"{addr:#x}"
        )
    if form == 3:
        driver = arguments.pop("driver")
        keys = ",".join(f"{key}={value}" for key, value in arguments.items())
        line = f"device_add {driver},{keys}"
        return {"execute": "human-monitor-command", "arguments": {"command-line": line}}
    return {"execute": "device_add", "arguments": arguments}


def memory_of(entries: list[dict[str, Any]], extent: int = 0) -> list[Span]:
    """Return what may hold memory: DIMMs whole, virtio-mem as far as requested and *extent*."""
    found = []
    for entry in entries:
        data = entry["data"]
        if entry["type"] == "virtio-mem":
            if data["requested-size"]:
                reach = min(data["requested-size"] + extent, data["max-size"])
                found.append(Span.sized(data["memaddr"], reach))
        else:
            found.append(Span.sized(data["addr"], data["size"]))
    return found


def assert_clear(bench: Bench, holes: list[Span]) -> None:
    forbidden = SpanSet(holes)
    for span in memory_of(bench.map()):
        assert not forbidden.overlaps(span), (span, holes)


def assert_needed(machine: str, folder: Path, holes: list[Span], refused: Refused) -> None:
    """Rebuild the memory there was, without a guard, and repeat: QEMU puts it into a hole."""
    with running(vm_of(machine, folder)) as vm, Client(vm.truth) as truth:

        def run(name: str, **arguments: Any) -> None:
            assert truth.command(name, **arguments) == {"return": {}}

        def backend(path: str, size: int) -> str:
            name = path.rpartition("/")[2]
            run("object-add", qom_type="memory-backend-ram", id=name, size=size, reserve=False)
            return name

        ports = iter(range(5))
        for entry in refused.before:
            data = entry["data"]
            size = data.get("max-size", data["size"])
            told: dict[str, Any] = {"id": data["id"], "memdev": backend(data["memdev"], size)}
            if entry["type"] == "virtio-mem":
                told |= {"memaddr": data["memaddr"], "requested-size": data["requested-size"]}
                told["bus"] = f"rp{next(ports)}"
            else:
                told["addr"] = data["addr"]
            driver = {"dimm": "pc-dimm", "virtio-mem": "virtio-mem-pci"}
            run("device_add", driver=driver.get(entry["type"], entry["type"]), **told)
        if "device_add" in str(refused.told):
            backend(f"m{refused.count}", refused.size)
        text = re.sub(r"\brp\d", "rp5", json.dumps(refused.told))
        truth.send(text.encode())
        reply = truth.reply()
        if reply.get("return") not in ({}, ""):
            # What QEMU refuses as well (by HMP in mere words) need not lie anywhere.
            return
        extent = {"q35": 256 * MIB, "virt": GIB}[machine]
        now = memory_of(truth.command("query-memory-devices")["return"], extent)
        assert any(SpanSet(holes).overlaps(span) for span in now), (
            refused.told,
            refused.reply,
            now,
        )
