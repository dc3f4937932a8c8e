"""Plan → args → a real QEMU → verify: the machine decides."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from kit import ROOT
from kit.real import code_of, guestmap, paused_qemu

from planner.cli.exits import FailedError
from qmp_glue.addresses import parse_monitor
from qmp_glue.asks import Asks
from qmp_glue.live import at_monitor

pytestmark = pytest.mark.qemu

LAYOUTS = sorted(
    path.stem
    for path in (ROOT / "layouts").glob("*.yaml")
    if "type: custom" not in path.read_text()
)


def plan_file(layout: str, folder: Path) -> str:
    target = folder / "plan.json"
    guestmap("plan", f"layouts/{layout}.yaml", "-o", str(target))
    return str(target)


def args_of(plan: str, *words: str) -> list[str]:
    result = guestmap("args", plan, *words)
    assert code_of(result) == 0, result.stderr
    assert result.stdout.count("\n") == 1
    return shlex.split(result.stdout)


def test_a_comma_in_an_option_reaches_qemu(tmp_path: Path) -> None:
    layout = tmp_path / "guest.yaml"
    options = '{x-oem-id: "a,b"}'
    layout.write_text(
        f"schema: 1\nname: g\nmachine: {{type: q35, version: '7.2', options: {options}}}\n"
        "memory: {size: 1GiB}\n"
    )
    plan = str(tmp_path / "plan.json")
    guestmap("plan", str(layout), "--host", "layouts/hosts/amd-desktop.yaml", "-o", plan)
    argv = args_of(plan, "--no-reserve")
    with paused_qemu(argv) as address:
        said = at_monitor(parse_monitor(address), lambda asks: asks.get("/machine", "x-oem-id"))
    assert said == "a,b"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_planned_machine_is_the_real_one(layout: str, tmp_path: Path) -> None:
    plan = plan_file(layout, tmp_path)
    argv = args_of(plan, "--no-reserve")
    assert argv == json.loads(guestmap("args", plan, "--no-reserve", "--json").stdout)["argv"]
    named = args_of(plan, "--no-reserve", "--program", "/opt/qemu/bin/qemu")
    assert named == ["/opt/qemu/bin/qemu", *argv[1:]]
    with paused_qemu(argv) as address:
        result = guestmap("verify", plan, "--qmp", address)
        assert result.stdout == "verified: QEMU's real map is the plan's\n"
        assert code_of(result) == 0


def test_pieces_are_plugged_into_a_paused_guest(tmp_path: Path) -> None:
    plan = plan_file("arm-guest-on-amd", tmp_path)
    argv = args_of(plan, "--no-reserve", "--without-pieces")
    assert "pcie-root-port,id=port-dimm0,chassis=1" in argv
    with paused_qemu(argv) as address:
        before = guestmap("verify", plan, "--qmp", address, "--json")
        assert code_of(before) == 1
        codes = [f["code"] for f in json.loads(before.stdout)["findings"]]
        assert codes == ["MM601"]
        result = guestmap("apply", plan, "--qmp", address, "--no-reserve")
        assert result.stdout == "applied: QEMU's real map is the plan's\n"
        assert code_of(result) == 0
        again = guestmap("apply", plan, "--qmp", address, "--no-reserve")
        assert code_of(again) == 1
        assert "QEMU refused object-add (memory for dimm0): " in again.stdout
        assert "= note: done and standing: nothing" in again.stdout
        assert "= note: not done: memory for dimm0; dimm0 at 0x100000000" in again.stdout
        told = guestmap("apply", plan, "--qmp", address, "--no-reserve", "--json")
        assert [f["code"] for f in json.loads(told.stdout)["findings"]] == ["MM607"]


def test_dimms_want_a_firmware_image_on_arm(tmp_path: Path) -> None:
    wanted = (ROOT / "layouts/arm-guest-on-amd.yaml").read_text(encoding="utf-8")
    wanted = wanted.replace("slots: 8}", "slots: 8, pieces: dimm}").replace("debian-12", "fedora")
    layout = tmp_path / "dimms.yaml"
    layout.write_text(wanted.replace("hosts/", f"{ROOT}/layouts/hosts/"), encoding="utf-8")
    plan = str(tmp_path / "dimms.json")
    assert code_of(guestmap("plan", str(layout), "-o", plan)) == 0
    with pytest.raises(FailedError, match="are DIMMs, which this board has with --firmware only"):
        guestmap("args", plan)
    firmware = tmp_path / "firmware.bin"
    firmware.write_bytes(bytes(64 << 10))
    argv = args_of(plan, "--firmware", str(firmware), "--no-reserve")
    assert "pc-dimm,id=dimm0,memdev=mem0,addr=0x100000000" in argv
    with paused_qemu(argv) as address:
        result = guestmap("verify", plan, "--qmp", address)
        assert (code_of(result), result.stdout) == (0, "verified: QEMU's real map is the plan's\n")
    bare = args_of(plan, "--firmware", str(firmware), "--no-reserve", "--without-pieces")
    with paused_qemu(bare) as address:
        assert code_of(guestmap("apply", plan, "--qmp", address, "--no-reserve")) == 0


def test_firmware_brings_registers_along_which_no_dma_reaches(tmp_path: Path) -> None:
    firmware = tmp_path / "firmware.bin"
    firmware.write_bytes(bytes(64 << 10))
    plan = plan_file("arm-guest-on-amd", tmp_path)
    with paused_qemu(args_of(plan, "--firmware", str(firmware), "--no-reserve")) as address:
        result = guestmap("verify", plan, "--qmp", address)
    assert code_of(result) == 0
    assert set(re.findall(r"\[(MM\d+)\]", result.stdout)) == {"MM603"}


def test_a_step_that_fails_says_what_stands(tmp_path: Path) -> None:
    plan = plan_file("arm-guest-on-amd", tmp_path)
    argv = args_of(plan, "--no-reserve", "--without-pieces")
    without_port = [word for word in argv if "root-port" not in word]
    without_port.remove("-device")
    with paused_qemu(without_port) as address:
        result = guestmap("apply", plan, "--qmp", address, "--no-reserve")
        assert code_of(result) == 1
        assert "error[MM607] apply-failed: QEMU refused device_add (dimm0 at 0x100000000)" in (
            result.stdout
        )
        assert "= note: done and standing: memory for dimm0" in result.stdout
        assert "'guestmap args --without-pieces' puts them on the command line" in result.stdout
        assert "cannot be taken back before the guest runs" in result.stdout


@pytest.mark.parametrize("target", ["riscv64", "loongarch64"])
def test_a_virt_of_another_architecture_is_another_machine(target: str, tmp_path: Path) -> None:
    plan = plan_file("arm-guest-on-amd", tmp_path)
    with paused_qemu([f"qemu-system-{target}", "-M", "virt", "-m", "2944M"]) as address:
        for command in ("verify", "apply"):
            result = guestmap(command, plan, "--qmp", address)
            assert code_of(result) == 1
            assert (
                f"error[MM606] other-machine: the running QEMU is a virt of {target}, the plan is"
                " for virt-7.2 of aarch64\n"
            ) in result.stdout


def test_another_machine_is_refused(tmp_path: Path) -> None:
    plan = plan_file("arm-guest-on-amd", tmp_path)
    with paused_qemu(["qemu-system-x86_64", "-M", "q35", "-m", "128M"]) as address:
        result = guestmap("apply", plan, "--qmp", address)
        assert code_of(result) == 1
        assert "error[MM606] other-machine: the running QEMU is a pc-q35-7.2, the plan is for" in (
            result.stdout
        )
        coloured = guestmap("apply", plan, "--qmp", address, "--color", "always")
        assert "\x1b[" in coloured.stdout
        coloured = guestmap("verify", plan, "--qmp", address, "--color", "always")
        assert "\x1b[" in coloured.stdout
    with paused_qemu(["qemu-system-aarch64", "-M", "virt-7.2", "-m", "128M"]) as address:
        result = guestmap("verify", plan, "--qmp", address)
        assert code_of(result) == 1
        assert "the running QEMU has 128 MiB of boot memory, the plan 2944 MiB" in result.stdout


def test_a_running_guest_is_not_a_plans_to_change(tmp_path: Path) -> None:
    async def resume(asks: Asks) -> None:
        await asks.execute("cont")

    plan = plan_file("arm-guest-on-amd", tmp_path)
    with paused_qemu(args_of(plan, "--no-reserve", "--without-pieces")) as address:
        at_monitor(parse_monitor(address), resume)
        result = guestmap("apply", plan, "--qmp", address)
        assert code_of(result) == 1
        assert "the guest is running, and a plan is applied before it runs" in result.stdout


def test_every_kind_of_difference_is_told(tmp_path: Path) -> None:
    plan = plan_file("arm-guest-on-amd", tmp_path)
    argv = args_of(plan, "--no-reserve")
    moved = [word.replace("memaddr=0x100000000", "memaddr=0x180000000") for word in argv]
    moved = [word.replace("maxmem=16G", "maxmem=20G") for word in moved]
    with paused_qemu(moved) as address:
        result = guestmap("verify", plan, "--qmp", address)
        assert code_of(result) == 1
        assert {"MM601", "MM602", "MM604"} <= set(re.findall(r"\[(MM\d+)\]", result.stdout))
        assert "the plan has ram 'dimm0' at [0x100000000-0x147ffffff] (1152 MiB)" in result.stdout
        assert "QEMU has ram 'dimm0' at [0x180000000-0x1c7ffffff] (1152 MiB)" in result.stdout
        assert "the device-memory window is planned at" in result.stdout


def test_memory_over_a_forbidden_range_is_told_whatever_the_plan_says(tmp_path: Path) -> None:
    plan = plan_file("arm-guest-on-amd", tmp_path)
    document = json.loads(Path(plan).read_text())
    document["forbidden"][0] |= {"base": "0x50000000", "last": "0x500fffff", "size": "0x100000"}
    Path(plan).write_text(json.dumps(document))
    with paused_qemu(args_of(plan, "--no-reserve")) as address:
        result = guestmap("verify", plan, "--qmp", address)
        assert code_of(result) == 1
        assert "error[MM401] ram-in-reserved: RAM 'boot-ram' [0x40000000-0xf7ffffff]" in (
            result.stdout
        )


LAYOUT = """\
schema: 1
name: bare
machine: {type: virt, version: "7.2", cpu: max, options: {gic-version: "3", its: "off"}}
memory: {size: 512MiB}
doorbell: {prefer: 0xfee00000}
"""


def test_virtio_iommu_reports_the_doorbell_where_the_machine_has_none(tmp_path: Path) -> None:
    (tmp_path / "bare.yaml").write_text(LAYOUT)
    plan = str(tmp_path / "plan.json")
    host = str(ROOT / "layouts/hosts/ampere-altra.yaml")
    guestmap("plan", str(tmp_path / "bare.yaml"), "--host", host, "-o", plan)
    assert json.loads(Path(plan).read_text())["doorbell"]["realised_by"] == "virtio-iommu"
    argv = args_of(plan)
    assert argv[-1] == (
        "virtio-iommu-pci,id=doorbell-iommu,len-reserved-regions=1,"
        "reserved-regions[0]=0xfee00000:0xfeefffff:1"
    )
    with paused_qemu(argv) as address:
        result = guestmap("verify", plan, "--qmp", address)
        assert (code_of(result), result.stdout) == (
            0,
            "verified: QEMU's real map is the plan's\n",
        )
    other = [*argv[:-1], argv[-1].replace("0xfeefffff", "0xfeeeffff")]
    with paused_qemu(other) as address:
        result = guestmap("verify", plan, "--qmp", address)
        assert code_of(result) == 1
        assert (
            "error[MM608] doorbell-differs: virtio-iommu should report the doorbell"
            " [0xfee00000-0xfeefffff] as"
            " 0xfee00000:0xfeefffff:1; QEMU says: " in result.stdout
        )


def test_a_stale_plan_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "guest.yaml"
    text = (ROOT / "layouts/arm-guest-on-amd.yaml").read_text()
    source.write_text(text.replace("hosts/", f"{ROOT}/layouts/hosts/"))
    plan = str(tmp_path / "plan.json")
    guestmap("plan", str(source), "-o", plan)
    source.write_text(source.read_text() + "# edited\n")
    for words in (("args", plan), ("verify", plan, "--qmp", "unix:/nowhere")):
        result = guestmap(*words)
        assert code_of(result) == 1
        assert "error[MM605] stale-plan: layout:arm-guest-on-amd" in (
            result.stderr if words[0] == "args" else result.stdout
        )
    source.unlink()
    result = guestmap("args", plan)
    assert code_of(result) == 0
    assert "note[MM609] input-unchecked: layout:arm-guest-on-amd of the plan" in result.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not JSON"),
        ("[]", "is no JSON object"),
        ('{"format": "guestmap/host"}', "this is no guestmap/plan document"),
        ('{"format": "guestmap/plan", "version": 9}', "the plan has version 9"),
        (
            '{"format": "guestmap/plan", "version": 1, "machine": {"boot_bytes": "0x1"}}',
            "the plan is damaged: KeyError",
        ),
    ],
)
def test_what_is_no_plan_is_refused_with_words(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(FailedError, match=words):
        guestmap("args", str(tmp_path / "plan.json"))


def test_a_plan_without_a_placement_is_refused_with_words(tmp_path: Path) -> None:
    plan = Path(plan_file("arm-guest-on-amd", tmp_path))
    document = json.loads(plan.read_text())
    del document["machine"]["boot_bytes"]
    plan.write_text(json.dumps(document))
    with pytest.raises(FailedError, match="the plan has no placement: its findings say why"):
        guestmap("args", str(plan))


def test_a_plan_for_a_custom_board_has_no_command_line(tmp_path: Path) -> None:
    with pytest.raises(FailedError, match="a custom board is not QEMU's to build"):
        guestmap("args", plan_file("custom-board", tmp_path))


def test_nobody_at_the_address(tmp_path: Path) -> None:
    plan = plan_file("arm-guest-on-amd", tmp_path)
    with pytest.raises(FailedError, match="nowhere") as caught:
        guestmap("verify", plan, "--qmp", f"unix:{tmp_path}/nowhere")
    assert caught.value.exit_code == 3
