"""The policy alone: tables against QEMU's own lists, device names, assigned devices, words."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from kit.guard import Vm, running
from labkit.qmp import Client

from planner.host.profile import Scope
from planner.host.read import read_host
from planner.judge.forbidden import bind
from planner.judge.hotplug import Plug, judge_memory, place_of
from planner.span import GIB, MIB, Span, SpanSet
from qmp_glue.asks import Asks, QemuVersion
from qmp_glue.errors import CommandError
from qmp_glue.guard.assigned import Assigned, UnknownDeviceError, named_by
from qmp_glue.guard.commands import HMP_HARMLESS
from qmp_glue.guard.facts import memory_reach
from qmp_glue.guard.hmp import NotUnderstoodError, harmless, understand
from qmp_glue.guard.policy import Policy, PolicyOptions
from qmp_glue.guard.verdicts import Pass, PassedFd, Peer, Refuse, Rewrite, Verdict

AMD = "0x000000fd00000000 0x000000ffffffffff reserved\n"
MSI = "0x00000000fee00000 0x00000000feefffff msi\n"


def sysfs(folder: Path, groups: dict[str, tuple[str, list[str]]]) -> Path:
    """Make a tree: group id → its reserved regions and its devices."""
    root = folder / "sys"
    for id_, (regions, devices) in groups.items():
        group = root / "kernel" / "iommu_groups" / id_
        (group / "devices").mkdir(parents=True)
        (group / "type").write_text("DMA\n")
        (group / "reserved_regions").write_text(regions)
        for name in devices:
            device = root / "devices" / "pci0000:00" / name
            device.mkdir(parents=True)
            (device / "iommu_group").symlink_to(group)
            (group / "devices" / name).symlink_to(device)
            bus = root / "bus" / "pci" / "devices"
            bus.mkdir(parents=True, exist_ok=True)
            (bus / name).symlink_to(device)
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return sysfs(
        tmp_path,
        {
            "3": (MSI + AMD, ["0000:01:00.0"]),
            "4": (MSI + "0x0000000000000000 0x0000000000ffffff direct\n", ["0000:02:00.0"]),
            "5": (MSI, ["0000:03:00.0"]),
        },
    )


class Canned(Asks):
    """A QEMU of canned answers: a q35 guest with 1 GiB and the plugged memory given."""

    def __init__(self, plugged: dict[str, Span], devices: dict[str, dict[str, str]]) -> None:
        self.name = "canned"
        self.version = QemuVersion(7, 2, 0, "")
        self.plugged = plugged
        self.devices = devices

    async def execute(
        self, command: str, arguments: Mapping[str, Any] | None = None, seconds: float | None = 0
    ) -> Any:
        told = dict(arguments or {})
        if command == "query-memory-devices":
            return [
                {
                    "type": "dimm",
                    "data": {"id": id_, "addr": at.start, "size": at.size, "memdev": f"/{id_}"},
                }
                for id_, at in self.plugged.items()
            ]
        if command == "query-cpus-fast":
            return []
        if command == "query-target":
            return {"arch": "x86_64"}
        if command == "query-commands":
            return [{"name": "new-thing"}]
        if command == "qom-list-types":
            return [{"name": "hv-balloon"}]
        if command == "qom-list":
            listed = self.devices if told["path"] == "/machine/peripheral" else {}
            return [{"name": name, "type": f"child<{d['type']}>"} for name, d in listed.items()]
        if command == "qom-get":
            return self._get(told["path"], told["property"])
        raise CommandError(command, "CommandNotFound", command)

    def _get(self, path: str, name: str) -> Any:
        known: dict[tuple[str, str], Any] = {
            ("/machine", "type"): "pc-q35-7.2-machine",
            ("/machine/device-memory[0]", "addr"): 4 * GIB,
            ("/machine/device-memory[0]", "size"): 2048 * GIB,
            ("/objects/m0", "type"): "memory-backend-ram",
            ("/objects/m0", "size"): 128 * MIB,
            ("/machine/q35", "pci-hole64-start"): 0xF8_0000_0000,
            ("/machine/q35", "pci-hole64-end"): 0x100_0000_0000,
        }
        if path.startswith("/machine/peripheral/"):
            found = self.devices[path.rpartition("/")[2]].get(name)
        else:
            found = known.get((path, name))
        if found is None:
            raise CommandError("qom-get", "GenericError", f"{path} {name}")
        return found

    async def text(self, line: str) -> str:
        assert line == "info mtree -f"
        lines = ["FlatView #0", ' AS "memory", root: system', " Root memory region: system"]
        lines.append(f"  {0:016x}-{GIB - 1:016x} (prio 0, ram): pc.ram")
        lines += [
            f"  {at.start:016x}-{at.last:016x} (prio 0, ram): {id_}"
            for id_, at in self.plugged.items()
        ]
        return "\r\n".join(lines)


def judge(
    root: Path,
    command: dict[str, Any],
    plugged: dict[str, Span] | None = None,
    devices: dict[str, dict[str, str]] | None = None,
    passed: dict[str, PassedFd] | None = None,
    scope: Scope = Scope.ASSIGNED,
) -> Verdict:
    policy = Policy(PolicyOptions(host=str(root), scope=scope, sysfs=root))
    asks = Canned(plugged or {}, devices or {})
    return asyncio.run(policy.judge(command, asks, Peer(None, passed or {})))


def device_add(**arguments: Any) -> dict[str, Any]:
    return {"execute": "device_add", "arguments": arguments}


NIC = {"nic": {"type": "vfio-pci", "sysfsdev": "/sys/bus/pci/devices/0000:01:00.0"}}
DIMM = {"driver": "pc-dimm", "id": "d1", "memdev": "m0"}
HIGH = Span.sized(0xFD_0000_0000, 128 * MIB)


def test_memory_over_an_assigned_devices_region_would_end_the_vm(root: Path) -> None:
    verdict = judge(root, device_add(**DIMM, addr=HIGH.start), devices=NIC)
    assert isinstance(verdict, Refuse)
    assert verdict.words == (
        "guestmap MM401: memory 'd1' [0xfd00000000-0xfd07ffffff] covers reserved"
        f" [0xfd00000000-0xffffffffff] of group 3 (0000:01:00.0) on {read_host(root).name}"
        " (128 MiB at [0xfd00000000-0xfd07ffffff]): QEMU would abort;"
        " nearest free address 0xfcf8000000"
    )
    assert isinstance(judge(root, device_add(**DIMM, addr=4 * GIB), devices=NIC), Pass)


def test_in_scope_assigned_other_groups_do_not_bind(root: Path) -> None:
    other = {"nic": {"type": "vfio-pci", "host": "0000:03:00.0"}}
    add = device_add(**DIMM, addr=HIGH.start)
    assert isinstance(judge(root, add, devices=other), Pass)
    assert isinstance(judge(root, add), Pass)
    verdict = judge(root, add, scope=Scope.HOST)
    assert isinstance(verdict, Refuse)
    assert "no device of it could be assigned any more" in verdict.words


def test_memory_without_an_address_goes_around_the_region(root: Path) -> None:
    # All of device memory below the region is taken.
    taken = {"d0": Span(4 * GIB, HIGH.start)}
    verdict = judge(root, device_add(**DIMM), taken, NIC)
    assert isinstance(verdict, Rewrite)
    assert verdict.command["arguments"]["addr"] == 1 << 40
    assert verdict.words == "steered to 0x10000000000"


@pytest.mark.parametrize(
    "named",
    [
        {"host": "0000:01:00.0"},
        {"host": "01:00.0"},
        {"sysfsdev": "/sys/bus/pci/devices/0000:01:00.0"},
        {"fd": "group"},
    ],
)
@pytest.mark.parametrize("driver", ["vfio-pci", "vfio-pci-nohotplug"])
def test_a_device_whose_group_forbids_the_memory_there_is(
    root: Path, driver: str, named: dict[str, str]
) -> None:
    add = device_add(driver=driver, id="nic", **named)
    passed = {"group": PassedFd("/dev/vfio/3", os.makedev(240, 3))}
    verdict = judge(root, add, {"d1": HIGH}, passed=passed)
    assert isinstance(verdict, Refuse)
    assert "guestmap MM401: RAM 'd1' [0xfd00000000-0xfd07ffffff] covers reserved" in verdict.words
    assert not verdict.unjudged
    assert isinstance(judge(root, add, passed=passed), Pass)


def test_a_device_the_firmware_holds_is_refused(root: Path) -> None:
    verdict = judge(root, device_add(driver="vfio-pci", host="0000:02:00.0"))
    assert isinstance(verdict, Refuse)
    assert verdict.words.startswith("guestmap MM403: 0000:02:00.0 cannot be assigned")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (device_add(driver="vfio-pci"), "it names no host device"),
        (device_add(driver="vfio-pci", host="nonsense"), "'nonsense' is not a PCI address"),
        (device_add(driver="vfio-pci", host="0000:09:00.0"), "is in no IOMMU group of"),
        (device_add(driver="vfio-pci", fd="unknown"), "was not passed through the guard"),
        (device_add(driver="vfio-ap", sysfsdev="/sys/nowhere"), "does not exist"),
        (device_add(driver="new-pci", iommufd="i0"), "takes a host device in an unknown way"),
        (device_add(driver="hv-balloon"), "adds memory in an unknown way"),
        (device_add(driver="virtio-mem", memdev="m0"), "adds memory in an unknown way"),
        ({"execute": "new-thing"}, "is not known to leave the map alone"),
    ],
)
def test_what_cannot_be_told_is_refused(root: Path, command: dict[str, Any], words: str) -> None:
    verdict = judge(root, command)
    assert isinstance(verdict, Refuse)
    assert verdict.unjudged
    assert words in verdict.words
    assert verdict.words.startswith("guestmap MM701: cannot judge: ")


def test_an_assigned_device_that_cannot_be_named_stops_memory(root: Path) -> None:
    verdict = judge(root, device_add(**DIMM), devices={"x": {"type": "vfio-pci"}})
    assert isinstance(verdict, Refuse)
    assert "which host device 'x' is cannot be told" in verdict.words


def test_a_memory_bar_that_may_land_in_a_hole_is_refused(root: Path) -> None:
    add = device_add(driver="ivshmem-plain", memdev="m0")
    verdict = judge(root, add, devices=NIC)
    assert isinstance(verdict, Refuse)
    assert "anywhere in pci-mmio64 [0xf800000000-0xffffffffff]" in verdict.words
    other = {"nic": {"type": "vfio-pci", "host": "0000:03:00.0"}}
    assert isinstance(judge(root, add, devices=other), Pass)
    assert isinstance(judge(root, add), Pass)


def test_a_command_qemu_does_not_know_is_qemus_to_refuse(root: Path) -> None:
    assert judge(root, {"execute": "no-such-thing"}) == Pass("QEMU does not know it")


def test_a_character_device_is_found_through_its_number(root: Path, tmp_path: Path) -> None:
    entry = root / "dev" / "char" / "511:7"
    entry.mkdir(parents=True)
    (entry / "device").symlink_to(root / "devices" / "pci0000:00" / "0000:01:00.0")
    fd = PassedFd("/dev/vfio/devices/vfio7", os.makedev(511, 7))
    assert named_by({"fd": "x"}, Peer(None, {"x": fd}), root) == Assigned("0000:01:00.0", "3")
    with pytest.raises(UnknownDeviceError, match="no device sysfs knows"):
        named_by({"fd": "x"}, Peer(None, {"x": PassedFd("/dev/null", os.makedev(1, 3))}), root)
    with pytest.raises(UnknownDeviceError, match="is no VFIO or vhost device"):
        named_by({"fd": "x"}, Peer(None, {"x": PassedFd("/tmp/file", 0)}), root)


def test_a_vhost_vdpa_device_is_found_by_its_file(root: Path) -> None:
    vdpa = root / "devices" / "pci0000:00" / "0000:03:00.0" / "vdpa0"
    vdpa.mkdir()
    (root / "class" / "vhost-vdpa" / "vhost-vdpa-0").mkdir(parents=True)
    (root / "class" / "vhost-vdpa" / "vhost-vdpa-0" / "device").symlink_to(vdpa)
    arguments = {"type": "vhost-vdpa", "id": "n", "vhostdev": "/dev/vhost-vdpa-0"}
    add = {"execute": "netdev_add", "arguments": arguments}
    assert judge(root, add) == Pass("0000:03:00.0", map_hash=judge(root, add).map_hash)


# Tables.


@pytest.mark.qemu
@pytest.mark.parametrize("program", ["qemu-system-x86_64", "qemu-system-aarch64"])
def test_every_command_of_a_real_qemu_has_its_place(program: str, tmp_path: Path) -> None:
    machine = ["-M", "virt" if "aarch64" in program else "q35"]
    policy = Policy(PolicyOptions())
    with running(Vm(tmp_path, program, *machine)) as vm, Client(vm.truth) as truth:
        names = [each["name"] for each in truth.command("query-commands")["return"]]
        human = truth.command("human-monitor-command", command_line="help")["return"]
    judged = {name for name in names if policy.concerns({"execute": name})}
    expected = {
        *("device_add", "device_del", "migrate-incoming", "netdev_add", "object-add", "qom-set"),
        *("set-numa-node", "snapshot-load", "x-exit-preconfig", "xen-load-devices-state"),
    }
    assert judged == expected & set(names)
    assert len(names) > 200
    words = {
        name
        for line in human.splitlines()
        if line and not line[0].isspace() and not line.startswith(("[", "The", "device'"))
        for name in line.split()[0].split("|")
        if name[0].islower() or name == "?"
    }
    unplaced = {word for word in words if word not in HMP_HARMLESS} - {
        *("device_add", "device_del", "exit_preconfig", "gdbserver", "loadvm", "migrate_incoming"),
        *("netdev_add", "object_add", "qom-set"),
        # Continued help texts of other commands.
        *("copy", "if", "container", "begin:", "length:", "limit", "of", "snapshot", "on", "new"),
        *("recreating", "be", "internal", "both", "failover", "a", "contents", "delete"),
    }
    assert unplaced == set()


@pytest.mark.parametrize(
    ("line", "name", "arguments"),
    [
        ("device_del d0", "device_del", {"id": "d0"}),
        ("  device_add\tpc-dimm,id=d0 ", "device_add", {"driver": "pc-dimm", "id": "d0"}),
        ("device_add driver=pc-dimm", "device_add", {"driver": "pc-dimm"}),
        ("object_add iothread,id=t", "object-add", {"qom-type": "iothread", "id": "t"}),
        ("loadvm s", "snapshot-load", {"tag": "s"}),
        ("exit_preconfig", "x-exit-preconfig", {}),
        ("migrate_incoming tcp:h:1", "migrate-incoming", {"uri": "tcp:h:1"}),
        ("qom-set -j a b 1", "qom-set", {"path": "a", "property": "b", "value": "1"}),
    ],
)
def test_human_lines_are_understood(line: str, name: str, arguments: dict[str, str]) -> None:
    told = understand(line)
    assert (told.name, told.arguments) == (name, arguments)
    assert not harmless(line)


@pytest.mark.parametrize(
    "line", ["info mtree", " info mtree", "c", "x/4x 0", "", "  ", "print/x 1"]
)
def test_harmless_lines_are_told_apart(line: str) -> None:
    assert harmless(line)


def test_a_comma_in_a_value_is_not_understood() -> None:
    with pytest.raises(NotUnderstoodError, match="a value with a comma"):
        understand("device_add pc-dimm,id=a,,addr=0")


# The rules alone.

WINDOW = Span.sized(4 * GIB, 4 * GIB)


@pytest.mark.parametrize(
    ("plug", "taken", "place"),
    [
        (Plug("a", GIB, MIB), [], 4 * GIB),
        (Plug("a", GIB, MIB), [Span.sized(4 * GIB, MIB)], 4 * GIB + MIB),
        (Plug("a", GIB, 512 * MIB), [Span.sized(4 * GIB, MIB)], 4 * GIB + 512 * MIB),
        (Plug("a", 4 * GIB, MIB), [Span.sized(4 * GIB, MIB)], None),
        (Plug("a", GIB, MIB, 5 * GIB), [], 5 * GIB),
        (Plug("a", GIB, MIB, 5 * GIB), [Span.sized(6 * GIB - 1, 1)], None),
        (Plug("a", GIB, MIB, 8 * GIB - MIB), [], None),
        (Plug("a", GIB, MIB, GIB), [], None),
        (Plug("a", GIB, MIB, 5 * GIB + 1), [], None),
    ],
)
def test_places_are_qemus(plug: Plug, taken: list[Span], place: int | None) -> None:
    found = place_of(plug, WINDOW, SpanSet(taken))
    assert (found.start if found else None) == place


def test_the_nearest_address_is_the_nearest(tmp_path: Path) -> None:
    root = sysfs(tmp_path, {"1": ("0x0000000160000000 0x000000018fffffff msi\n", ["0000:00:01.0"])})
    binding = bind([read_host(root)], Scope.HOST, ())

    def free(addr: int, taken: list[Span]) -> int | None:
        plug = Plug("a", 256 * MIB, 2 * MIB, addr)
        return judge_memory(plug, WINDOW, taken, binding, frozenset()).free

    assert free(0x1_6000_0000, []) == 0x1_5000_0000
    assert free(0x1_8000_0000, []) == 0x1_9000_0000
    assert free(0x1_8000_0000, [Span(0x1_9000_0000, WINDOW.end)]) == 0x1_5000_0000
    assert (
        free(0x1_8000_0000, [Span(0x1_9000_0000, WINDOW.end), Span(4 * GIB, 6 * GIB - 1)]) is None
    )


def test_growth_past_a_hole_is_a_warning_while_it_does_not_reach(tmp_path: Path) -> None:
    root = sysfs(tmp_path, {"1": ("0x0000000160000000 0x000000018fffffff msi\n", ["0000:00:01.0"])})
    binding = bind([read_host(root)], Scope.HOST, ())
    plug = Plug("v", 2 * GIB, 2 * MIB, 4 * GIB, used=GIB)
    verdict = judge_memory(plug, WINDOW, [], binding, frozenset())
    assert verdict.fits
    (finding,) = verdict.findings
    assert finding.code == "MM702"
    assert "can grow by at most 1.5 GiB" in finding.message


@pytest.mark.parametrize(
    ("size", "requested", "target", "reach"),
    [
        (0, 0, "x86_64", 0),
        (0, 512 * MIB, "x86_64", 768 * MIB),
        (512 * MIB, 512 * MIB, "x86_64", 768 * MIB),
        (512 * MIB, 512 * MIB, "aarch64", 1536 * MIB),
        (0, 3968 * MIB, "x86_64", 4096 * MIB),
        # The guest has not given back what it was asked to, which may lie anywhere.
        (512 * MIB, 0, "x86_64", 4096 * MIB),
        (514 * MIB, 512 * MIB, "x86_64", 4096 * MIB),
    ],
)
def test_how_far_a_virtio_mem_device_may_hold_memory(
    size: int, requested: int, target: str, reach: int
) -> None:
    data = {"size": size, "requested-size": requested, "max-size": 4096 * MIB}
    assert memory_reach(data | {"block-size": 2 * MIB}, target) == reach
