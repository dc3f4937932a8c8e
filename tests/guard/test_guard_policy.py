"""The policy alone: tables against QEMU's own lists, device names, assigned devices, words."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from planner.host.profile import Scope
from planner.host.read import read_host
from planner.judge.forbidden import bind
from planner.judge.hotplug import Plug, judge_memory, place_of
from planner.span import GIB, MIB, Span, SpanSet
from qmp_glue.asks import Asks, QemuVersion
from qmp_glue.errors import CommandError
from qmp_glue.guard.assigned import Assigned, UnknownDeviceError, named_by
from qmp_glue.guard.case import Case
from qmp_glue.guard.facts import memory_reach
from qmp_glue.guard.hmp import NotUnderstoodError, understand
from qmp_glue.guard.policy import Policy, PolicyOptions
from qmp_glue.guard.table.questions import NotAQuestionError
from qmp_glue.guard.table.rows import Judge
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
        self.threads = [os.getpid()]
        self.parameters: dict[str, str] = {}

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
            return [{"thread-id": thread} for thread in self.threads]
        if command == "query-target":
            return {"arch": "x86_64"}
        if command == "query-migrate-parameters":
            return self.parameters
        if command == "query-commands":
            return [{"name": "new-thing"}]
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
    **options: Any,
) -> Verdict:
    chosen = PolicyOptions(**{"hosts": (str(root),), "scope": scope, "sysfs": root, **options})
    policy = Policy(chosen)
    asks = Canned(plugged or {}, devices or {})
    return asyncio.run(policy.judge(command, asks, Peer(os.getpid(), passed or {})))


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
        (device_add(driver="vfio-pci", host="01:00.0", fd="7"), "more than once, by host= and fd="),
        (device_add(driver="new-pci", iommufd="i0"), "'new-pci' stands in no table"),
        (device_add(driver="igb", iommufd="i0"), "is a host device in an unknown way"),
        (device_add(driver="igb", memdev="m0"), "is memory in an unknown way"),
        (device_add(driver="igb", tea="hot"), "'tea' of driver 'igb' stands in no table"),
        (device_add(driver=7), "the device has no driver"),
        ({"execute": "new-thing"}, "'new-thing' stands in no table of guestmap for QEMU 7.2.0"),
        ({"execute": "device_add", "arguments": []}, "are no object"),
        ({"execute": "netdev_add", "arguments": {"type": "pigeon"}}, "'pigeon' stands in no"),
        ({"execute": "object-add", "arguments": {"qom-type": "tea-pot"}}, "'tea-pot' stands in"),
        ({"execute": "chardev-add", "arguments": {"id": "c"}}, "the chardev has no type"),
        (
            {"execute": "qom-set", "arguments": {"path": "x", "property": "y"}},
            "'x' names no one object",
        ),
    ],
)
def test_what_cannot_be_told_is_refused(root: Path, command: dict[str, Any], words: str) -> None:
    verdict = judge(root, command)
    assert isinstance(verdict, Refuse)
    assert verdict.unjudged
    assert words in verdict.words
    assert verdict.words.startswith("guestmap MM701: cannot judge: ")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (device_add(driver="virtio-mem", memdev="m0"), "the half of a virtio device"),
        (device_add(driver="spapr-pci-host-bridge", index=1), "a DMA window of its own"),
        ({"execute": "object-add", "arguments": {"qom-type": "qtest"}}, "raw writes to memory"),
        ({"execute": "add_client", "arguments": {"protocol": "c0"}}, "no display, and maybe a"),
        (
            {"execute": "yank", "arguments": {"instances": [{"type": "chardev", "id": "c"}]}},
            "it may be the guard's own",
        ),
        (
            {"execute": "migrate-set-parameters", "arguments": {"mode": "cpr-exec"}},
            "makes QEMU another program (--allow-exec)",
        ),
    ],
)
@pytest.mark.parametrize("fail_open", [False, True])
def test_what_goes_around_the_guard_is_refused_always(
    root: Path, command: dict[str, Any], words: str, *, fail_open: bool
) -> None:
    verdict = judge(root, command, fail_open=fail_open)
    assert isinstance(verdict, Refuse)
    assert verdict.words.startswith("guestmap MM703: not through the guard: ")
    assert words in verdict.words
    assert not verdict.unjudged


@pytest.mark.parametrize(
    "command",
    [
        {"execute": "add_client", "arguments": {"protocol": "vnc"}},
        {"execute": "yank", "arguments": {"instances": [{"type": "migration"}]}},
        {"execute": "migrate-set-parameters", "arguments": {"mode": "cpr-reboot"}},
        {"execute": "migrate", "arguments": {"uri": "tcp:h:1"}},
        {"execute": "chardev-add", "arguments": {"id": "c", "backend": {"type": "null"}}},
        {"execute": "object-add", "arguments": {"qom-type": "iothread", "id": "t"}},
        {"execute": "netdev_add", "arguments": {"type": "user", "id": "n"}},
        device_add(driver="virtio-net-pci", romfile="", netdev="n"),
        device_add(driver="usb-kbd", bus="usb0.0", port="1"),
        device_add(driver="virtio-blk", drive="b0"),
    ],
)
def test_the_harmless_neighbours_pass(root: Path, command: dict[str, Any]) -> None:
    assert isinstance(judge(root, command, scope=Scope.HOST), Pass)


def test_migration_may_be_allowed_to_make_qemu_another_program(root: Path) -> None:
    command = {"execute": "migrate-set-parameters", "arguments": {"mode": "cpr-exec"}}
    assert isinstance(judge(root, command, allow_exec=True), Pass)


def test_a_migration_in_a_mode_of_the_command_line_is_judged(root: Path) -> None:
    asks = Canned({}, {})
    asks.version = QemuVersion(11, 1, 0, "")
    asks.parameters = {"mode": "cpr-exec"}
    policy = Policy(PolicyOptions(hosts=(str(root),), sysfs=root))
    verdict = asyncio.run(policy.judge({"execute": "migrate", "arguments": {}}, asks))
    assert isinstance(verdict, Refuse)
    assert "migration mode 'cpr-exec'" in verdict.words


def test_a_newer_qemu_keeps_what_is_known_and_no_more(root: Path) -> None:
    policy = Policy(PolicyOptions(hosts=(str(root),), sysfs=root))
    asks = Canned({}, {})
    asks.version = QemuVersion(99, 0, 0, "")
    known = device_add(driver="usb-kbd")
    assert isinstance(asyncio.run(policy.judge(known, asks)), Pass)
    verdict = asyncio.run(policy.judge(device_add(driver="usb-kbd-2"), asks))
    assert isinstance(verdict, Refuse)
    assert "'usb-kbd-2' stands in no table of guestmap for QEMU 99.0.0" in verdict.words


@pytest.mark.parametrize("path", ["mon.sock", "../vm/mon.sock", "unix:mon.sock,server=on"])
def test_the_place_of_the_guards_socket_is_nobody_elses(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    folder = tmp_path / "vm"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "mon.sock").touch()
    own = (folder / "mon.sock",)
    address = {"type": "unix", "data": {"path": path, "server": True}}
    backend = {"type": "socket", "data": {"addr": address}}
    for command in (
        {"execute": "chardev-add", "arguments": {"id": "c", "backend": backend}},
        {"execute": "netdev_add", "arguments": {"type": "stream", "addr": address}},
        {"execute": "nbd-server-start", "arguments": {"addr": address}},
        {"execute": "migrate-incoming", "arguments": {"uri": path}},
    ):
        verdict = judge(root, command, sockets=own)
        assert isinstance(verdict, Refuse)
        assert "is the place of a socket of the guard's own" in verdict.words
        other = json.loads(json.dumps(command).replace("mon.sock", "other.sock"))
        assert isinstance(judge(root, other, sockets=own), Pass)


def test_the_guard_asks_nothing_that_has_an_effect(root: Path) -> None:
    case = Case(PolicyOptions(hosts=(str(root),)), Canned({}, {}), Peer())
    for name, arguments in (
        ("qom-list-types", None),
        ("device-list-properties", {"typename": "igb"}),
        ("human-monitor-command", {"command-line": "info qdm"}),
        ("object-add", {"qom-type": "qtest"}),
    ):
        with pytest.raises(NotAQuestionError, match=f"the guard may not ask {name}"):
            asyncio.run(case.asks.execute(name, arguments))


def test_memory_must_suit_every_host_and_a_device_is_of_the_first(
    root: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.txt"
    other.write_text(
        "/sys/kernel/iommu_groups/9/reserved_regions:0x0000000200000000 0x00000002ffffffff msi\n"
    )
    hosts = (str(root), str(other))
    there = device_add(**DIMM, addr=0x2_0000_0000)
    assert isinstance(judge(root, there, devices=NIC), Pass)
    verdict = judge(root, there, devices=NIC, hosts=hosts)
    assert isinstance(verdict, Refuse)
    assert "covers msi [0x200000000-0x2ffffffff] of group 9" in verdict.words
    verdict = judge(root, device_add(**DIMM, addr=HIGH.start), devices=NIC, hosts=hosts)
    assert isinstance(verdict, Refuse)
    assert "of group 3 (0000:01:00.0)" in verdict.words
    # The second host knows nothing of it, and need not.
    assert isinstance(judge(root, device_add(driver="vfio-pci", host="01:00.0"), hosts=hosts), Pass)
    unknown = judge(root, device_add(driver="vfio-pci", host="0000:09:00.0"), hosts=hosts)
    assert isinstance(unknown, Refuse)
    assert "0000:09:00.0 is in no IOMMU group of" in unknown.words


def test_an_unaligned_address_in_a_hole_is_no_matter_of_qemus(root: Path) -> None:
    verdict = judge(root, device_add(**DIMM, addr=HIGH.start + 4096), devices=NIC)
    assert isinstance(verdict, Refuse)
    assert "covers reserved" in verdict.words
    assert isinstance(judge(root, device_add(**DIMM, addr=4 * GIB + 4096), devices=NIC), Pass)


@pytest.mark.parametrize("memdev", ["objects/m0", "/objects/../m0", "//objects/m0", 7, None])
def test_a_memdev_is_an_id_or_its_path(root: Path, memdev: Any) -> None:
    add = device_add(driver="pc-dimm", memdev=memdev, addr=HIGH.start)
    verdict = judge(root, add, devices=NIC)
    assert isinstance(verdict, Refuse)
    assert f"memdev '{memdev}' is neither ID nor /objects/ID" in verdict.words
    for plain in ("m0", "/objects/m0"):
        verdict = judge(root, device_add(driver="pc-dimm", memdev=plain), devices=NIC)
        assert not isinstance(verdict, Refuse)


def test_a_qemu_that_cannot_be_told_is_not_free_of_devices(root: Path) -> None:
    asks = Canned({}, {})
    asks.threads = [1 << 30]
    policy = Policy(PolicyOptions(hosts=(str(root),), sysfs=root))
    verdict = asyncio.run(policy.judge(device_add(**DIMM), asks, Peer(os.getpid())))
    assert isinstance(verdict, Refuse)
    assert "which process is QEMU's, and so what it holds, cannot be told" in verdict.words
    # With every group of the host, it does not matter.
    strict = Policy(PolicyOptions(hosts=(str(root),), scope=Scope.HOST, sysfs=root))
    add = device_add(**DIMM, addr=4 * GIB)
    assert isinstance(asyncio.run(strict.judge(add, asks, Peer(os.getpid()))), Pass)


@pytest.mark.parametrize(
    ("devices", "told"),
    [
        ({}, ""),
        (NIC, "MM401"),
        ({"x": {"type": "vfio-pci"}}, "which host device 'x' is cannot be told"),
    ],
    ids=["none", "named", "unnamed"],
)
def test_a_qemu_elsewhere_has_the_devices_it_names(
    root: Path, devices: dict[str, dict[str, str]], told: str
) -> None:
    asks = Canned({}, devices)
    asks.threads = [1 << 30]
    policy = Policy(PolicyOptions(hosts=(str(root),), sysfs=root, elsewhere=True))
    add = device_add(**DIMM, addr=HIGH.start)
    verdict = asyncio.run(policy.judge(add, asks, Peer(os.getpid())))
    if not told:
        assert isinstance(verdict, Pass)
        return
    assert isinstance(verdict, Refuse)
    assert told in verdict.words


def test_an_assigned_device_that_cannot_be_named_stops_memory(root: Path) -> None:
    verdict = judge(root, device_add(**DIMM), devices={"x": {"type": "vfio-pci"}})
    assert isinstance(verdict, Refuse)
    assert "which host device 'x' is cannot be told" in verdict.words


def test_a_memory_bar_that_may_land_in_a_hole_is_refused(root: Path) -> None:
    add = device_add(driver="ivshmem-plain", memdev="m0")
    verdict = judge(root, add, devices=NIC)
    assert isinstance(verdict, Refuse)
    assert "anywhere in pci-mmio64 [0xf800000000-0xffffffffff]" in verdict.words
    for driver, more in (
        ("bochs-display", {}),
        ("secondary-vga", {}),
        ("qxl", {}),
        ("nvme", {"pmrdev": "m0"}),
        ("pci-testdev", {"membar-backed": True}),
    ):
        beside = judge(root, device_add(driver=driver, **more), devices=NIC)
        assert isinstance(beside, Refuse)
        assert f"put the memory BAR of {driver} anywhere in pci-mmio64" in beside.words
    # An option ROM is below 4 GiB, where nothing is forbidden here.
    assert isinstance(judge(root, device_add(driver="e1000e"), devices=NIC), Pass)
    other = {"nic": {"type": "vfio-pci", "host": "0000:03:00.0"}}
    assert isinstance(judge(root, add, devices=other), Pass)
    assert isinstance(judge(root, add), Pass)


@pytest.mark.parametrize("screen", ["VGA", "bochs-display"])
def test_a_memory_bar_that_is_there_bars_the_device(root: Path, screen: str) -> None:
    add = device_add(driver="vfio-pci", host="0000:01:00.0")
    verdict = judge(root, add, devices={"screen": {"type": screen}})
    assert isinstance(verdict, Refuse)
    assert "may put the memory BAR of 'screen' anywhere in pci-mmio64" in verdict.words
    other = device_add(driver="vfio-pci", host="0000:03:00.0")
    assert isinstance(judge(root, other, devices={"screen": {"type": screen}}), Pass)


def test_a_command_qemu_does_not_know_is_answered_as_qemu_does(root: Path) -> None:
    assert judge(root, {"execute": "no-such-thing"}) == Refuse(
        "The command no-such-thing has not been found", kind="CommandNotFound"
    )


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


# Lines of the human monitor.


@pytest.mark.parametrize(
    ("line", "judge", "arguments"),
    [
        ("  device_add\tpc-dimm,id=d0 ", Judge.DEVICE, {"driver": "pc-dimm", "id": "d0"}),
        ("device_add driver=pc-dimm", Judge.DEVICE, {"driver": "pc-dimm"}),
        ("object_add iothread,id=t", Judge.OBJECT, {"qom-type": "iothread", "id": "t"}),
        ("chardev-change c0 null,id=c1", Judge.CHARDEV, {"backend": "null", "id": "c1"}),
        ("loadvm s", Judge.STATE, {"words": ["s"]}),
        ("exit_preconfig", Judge.BOARD, {"words": []}),
        ("migrate_incoming tcp:h:1", Judge.STATE, {"words": ["tcp:h:1"]}),
        ("migrate_set_parameter mode cpr-exec", Judge.MIGRATE, {"mode": "cpr-exec"}),
        ('migrate_set_parameter tls-creds ""', Judge.MIGRATE, {"tls-creds": '""'}),
        ('migrate -d "exec:cat > x"', Judge.MIGRATE, {}),
        (
            "qom-set -j a b 1",
            Judge.PROPERTY,
            {"path": "a", "property": "b", "value": "1"},
        ),
    ],
)
def test_human_lines_are_understood(line: str, judge: Judge, arguments: dict[str, Any]) -> None:
    assert understand(line, judge).arguments == arguments
    assert Policy(PolicyOptions()).concerns(human(line))


def human(line: str) -> dict[str, Any]:
    return {"execute": "human-monitor-command", "arguments": {"command-line": line}}


@pytest.mark.parametrize(
    "line", ["info mtree", " info mtree", "c", "x/4x 0", "", "  ", "print/x 1", "clear"]
)
def test_harmless_lines_are_told_apart(line: str) -> None:
    assert not Policy(PolicyOptions()).concerns(human(line))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("o /4 0xcf8 0x80002810", "'o': writes a port"),
        ("gdbserver tcp::1", "'gdbserver': opens a gdb stub"),
        ("migrate_set_parameter mode cpr-exec", "makes QEMU another program"),
        ("object_add qtest,id=q,chardev=c", "'qtest': raw writes"),
        ("device_add spapr-pci-host-bridge,index=1", "a DMA window of its own"),
    ],
)
def test_human_lines_around_the_guard_are_refused(root: Path, line: str, words: str) -> None:
    verdict = judge(root, human(line))
    assert isinstance(verdict, Refuse)
    assert verdict.words.startswith("guestmap MM703: not through the guard: ")
    assert words in verdict.words


def test_a_comma_in_a_value_is_not_understood() -> None:
    with pytest.raises(NotUnderstoodError, match="a value with a comma"):
        understand("device_add pc-dimm,id=a,,addr=0", Judge.DEVICE)


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
        # Whether QEMU takes it there is QEMU's to say; what it would cover is judged.
        (Plug("a", GIB, MIB, 5 * GIB), [Span.sized(6 * GIB - 1, 1)], 5 * GIB),
        (Plug("a", GIB, MIB, GIB), [], GIB),
        (Plug("a", GIB, MIB, 5 * GIB + 1), [], 5 * GIB + 1),
    ],
)
def test_places_are_those_asked_for_or_qemus(
    plug: Plug, taken: list[Span], place: int | None
) -> None:
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
