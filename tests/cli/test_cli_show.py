"""``guestmap show`` and ``guestmap diff`` as a person and a program meet them."""

from __future__ import annotations

import json
import subprocess
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from click.testing import Result
from kit import ROOT, Golden, cli_runner
from kit.captures import Captured

from planner.cli.diff import command as diff_command
from planner.cli.map import command as map_command
from planner.cli.plan import command as plan_command
from planner.cli.show import command as show_command

AMD = "layouts/hosts/amd-desktop.yaml"
LAYOUT = "layouts/arm-guest-on-amd.yaml"
VIRT = ["qemu-system-aarch64", "-M", "virt-7.2,gic-version=3", "-cpu", "max", "-m", "4G"]


@pytest.fixture(autouse=True)
def _in_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def show(*args: str | Path, data: str | None = None) -> Result:
    return cli_runner().invoke(show_command, [str(a) for a in args], input=data)


@dataclass
class Outcome:
    exit_code: int
    stdout: str
    stderr: str


def diff(*args: str | Path) -> Outcome:
    """Run as the program does: what the command returns is the exit code."""
    result = cli_runner().invoke(diff_command, [str(a) for a in args], standalone_mode=False)
    if isinstance(result.exception, click.ClickException):
        error = result.exception
        return Outcome(error.exit_code, result.stdout, error.format_message())
    assert result.exception is None
    return Outcome(int(result.return_value), result.stdout, result.stderr)


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    cli_runner().invoke(plan_command, [LAYOUT, "-o", str(path)])
    return path


@pytest.fixture
def virt_map(tmp_path: Path) -> Path:
    path = tmp_path / "map.json"
    path.write_text(cli_runner().invoke(map_command, ["--model", "--json", "--", *VIRT]).stdout)
    return path


@pytest.mark.parametrize(
    ("out", "start"),
    [
        ("m.txt", "arm-guest-on-amd: 4 GiB on virt 7.2"),
        ("m.svg", "<?xml version"),
        ("m.html", "<!DOCTYPE html>"),
        ("m.HTM", "<!DOCTYPE html>"),
        ("m.graphml", "<graphml"),
        ("m.json", '{\n  "format": "guestmap/show"'),
    ],
)
def test_the_suffix_says_the_format(out: str, start: str, tmp_path: Path) -> None:
    result = show(LAYOUT, tmp_path / out)
    assert (result.exit_code, result.stdout) == (0, "")
    assert (tmp_path / out).read_text(encoding="utf-8").startswith(start)


def test_standard_output_is_text_or_as_asked() -> None:
    text = show(LAYOUT).stdout
    assert text.startswith("arm-guest-on-amd: 4 GiB on virt 7.2")
    assert show(LAYOUT, "-").stdout == text
    assert show(LAYOUT, "-.svg").stdout.startswith("<?xml")
    assert show(LAYOUT, "--format", "svg").stdout == show(LAYOUT, "-.svg").stdout
    assert json.loads(show(LAYOUT, "--json").stdout)["title"] == "arm-guest-on-amd"


def test_colour_is_for_standard_output_only(tmp_path: Path) -> None:
    assert "\x1b[" in show("--color", "always", LAYOUT).stdout
    show("--color", "always", LAYOUT, tmp_path / "m.txt")
    assert "\x1b[" not in (tmp_path / "m.txt").read_text(encoding="utf-8")


def test_a_file_is_not_overwritten_without_force(tmp_path: Path) -> None:
    out = tmp_path / "m.svg"
    out.write_text("mine", encoding="utf-8")
    result = show(LAYOUT, out)
    assert result.exit_code == 2
    assert f"{out} exists already\n  = help: -f overwrites it" in result.stderr
    assert out.read_text(encoding="utf-8") == "mine"
    assert show("-f", LAYOUT, out).exit_code == 0
    ET.parse(out)


def test_a_plan_file_is_known_by_its_content(plan: Path) -> None:
    text = show(plan).stdout
    assert text.startswith("arm-guest-on-amd: 4 GiB on virt 7.2, scope host, planned, doorbell")
    assert "dimm0 (ram)" in text
    assert "findings: 2 warnings, 2 notes" in text


def test_a_plan_on_standard_input(plan: Path) -> None:
    assert show("-", data=plan.read_text()).stdout == show(plan).stdout


def test_a_host_profile_a_dump_and_a_sysfs_tree(tmp_path: Path, captured: Captured) -> None:
    assert "msi, groups 27, 28" in show(AMD).stdout
    dump = tmp_path / "pasted.txt"
    path = "/sys/kernel/iommu_groups/3/reserved_regions"
    dump.write_text(f"{path}:0x00000000fee00000 0x00000000feefffff msi\n", encoding="utf-8")
    assert "pasted" in show(dump).stdout
    assert "▒ msi, group 3" in show(dump).stdout
    tree = show(captured("amd-6.12") / "sys").stdout
    assert "0xfd00000000" in tree


def test_a_map_with_hosts_beside(virt_map: Path) -> None:
    alone = show(virt_map).stdout
    assert "usable" not in alone
    assert "collision" not in alone
    beside = show(virt_map, "--host", AMD).stdout
    assert "✖ collision: mach-virt.ram meets msi of puchatek: 1 MiB at" in beside
    assert "findings: 1 error" in beside


def test_a_command_line_and_where_it_goes(tmp_path: Path) -> None:
    ways: list[list[str | Path]] = [
        [tmp_path / "a.svg", "--", *VIRT],
        ["--", *VIRT, tmp_path / "b.svg"],
    ]
    for args in ways:
        assert show("--model", "--host", AMD, *args).exit_code == 0
    first = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert first == (tmp_path / "b.svg").read_text(encoding="utf-8")
    assert "collision" in first


@pytest.mark.qemu
def test_a_command_line_is_probed() -> None:
    text = show("--", "qemu-system-aarch64", "-M", "virt", "-m", "1G").stdout
    assert text.startswith("qemu-system-aarch64: virt, QEMU 7.2")
    assert "1 GiB of memory, probed" in text


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[str]:
    """Start a paused QEMU and return its monitor's address."""
    path = tmp_path / "qmp"
    words = ["qemu-system-aarch64", "-M", "virt-7.2,gic-version=3", "-cpu", "max", "-m", "4G"]
    options = ["-S", "-display", "none", "-nodefaults", "-qmp", f"unix:{path},server=on,wait=off"]
    with subprocess.Popen([*words, *options]) as process:
        try:
            until = time.monotonic() + 20
            while not path.exists() and time.monotonic() < until:
                time.sleep(0.02)
            yield f"unix:{path}"
        finally:
            process.kill()


@pytest.mark.qemu
def test_a_running_qemu_is_shown_and_compared(monitor: str, plan: Path, tmp_path: Path) -> None:
    out = tmp_path / "live.svg"
    assert show("--qmp", monitor, "--host", AMD, out).exit_code == 0
    assert "✖ collision · 1 MiB" in out.read_text(encoding="utf-8")
    found = diff("--json", plan, "--qmp", monitor)
    assert found.exit_code == 1
    assert {change["name"]: change["change"] for change in json.loads(found.stdout)["changes"]} == {
        "mach-virt.ram": "resized",
        "dimm0": "removed",
        "device-memory": "removed",
    }


def test_runs_can_be_shown_whole() -> None:
    assert show(LAYOUT).stdout.count("virtio-mmio") == 1
    assert show("--no-collapse", LAYOUT).stdout.count("virtio-mmio") == 32


def test_a_layout_with_mistakes_is_told_like_lint(tmp_path: Path) -> None:
    layout = tmp_path / "bad.yaml"
    layout.write_text("schema: 1\nname: x\nmachine: {type: vert}\nmemory: {size: 1GiB}\n")
    result = show(layout)
    assert result.exit_code == 1
    assert "error[MM111] bad-choice" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ((), "give one FILE, --qmp ADDR or -- QEMU ARGS, and at most one OUT"),
        (("a", "b", "c"), "give one FILE, --qmp ADDR or -- QEMU ARGS"),
        (("--qmp", "unix:x", "--", "qemu"), "give one FILE, --qmp ADDR or -- QEMU ARGS"),
        (("--",), "give a QEMU command line after --"),
        ((LAYOUT, "m.png"), "'m.png' has no suffix that says a format (.txt, .text, .svg, .html"),
        (("missing.yaml",), "missing.yaml cannot be read: No such file or directory"),
        (("--qmp", "nonsense"), "'nonsense' is not an address; write unix:PATH"),
        (("--host", "missing", AMD), "missing cannot be read"),
        (("--json", "--format", "svg", LAYOUT), "--json and --format exclude each other"),
        ((LAYOUT, "missing/m.svg"), "missing/m.svg cannot be written: No such file or directory"),
        (("--model", "--", "qemu", "-frob"), "option '-frob' is not one of QEMU 7.2 to 11.1"),
    ],
)
def test_what_cannot_be_shown(args: tuple[str, ...], why: str) -> None:
    result = show(*args)
    assert result.exit_code == 2
    assert why in result.stderr


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"format": "guestmap/host"}', "format 'guestmap/host'; 'guestmap/plan' and"),
        ("{", "is not JSON"),
        ('{"a":' * 100_000, "is not JSON"),
        ('{"format": "guestmap/plan", "version": 9}', "the plan has version 9, this guestmap"),
        ('{"format": "guestmap/plan", "version": 1}', "the plan is damaged: KeyError('machine')"),
        ('{"format": "guestmap/map", "version": 9}', "the map has version 9, this guestmap reads"),
        ('{"format": "guestmap/map", "version": 1}', "the map is damaged: KeyError('source')"),
    ],
)
def test_json_that_cannot_be_shown(text: str, why: str) -> None:
    result = show("-", data=text)
    assert result.exit_code == 2
    assert f"<stdin>{' ' if 'JSON' in why else ': '}{why}" in result.stderr


def test_a_plan_has_its_own_hosts(plan: Path) -> None:
    result = show("--host", AMD, plan)
    assert result.exit_code == 2
    assert "a plan has its own hosts; --host goes with layouts and maps" in result.stderr


def test_a_plan_of_a_newer_guestmap(plan: Path) -> None:
    document = json.loads(plan.read_text())
    document["findings"][0]["code"] = "MM999"
    result = show("-", data=json.dumps(document))
    assert result.exit_code == 2
    assert "the plan has a finding 'MM999' that this guestmap does not know" in result.stderr


def test_diff_of_the_same_is_silent_about_changes(plan: Path) -> None:
    result = diff(plan, plan)
    assert result.exit_code == 0
    assert "no difference" in result.stdout
    assert diff("-u", plan, plan).stdout == ""


def test_diff_of_a_plan_and_a_map(plan: Path, golden: Golden, virt_map: Path) -> None:
    result = diff(plan, virt_map)
    assert result.exit_code == 1
    golden("cli/golden/diff-plan-map.txt", result.stdout)
    unified = diff("-u", plan, "--model", "--", *VIRT)
    assert unified.exit_code == 1
    golden("cli/golden/diff-plan-map-unified.txt", unified.stdout)


def test_diff_as_json(plan: Path, virt_map: Path) -> None:
    data = json.loads(diff("--json", plan, virt_map).stdout)
    assert (data["format"], data["version"], data["differ"]) == ("guestmap/diff", 1, True)
    assert data["uncompared"] == ["hosts", "doorbell"]
    ram = next(change for change in data["changes"] if change["name"] == "mach-virt.ram")
    assert ram == {
        "change": "resized",
        "side": "guest",
        "name": "mach-virt.ram",
        "kind": "ram",
        "before": {"base": "0x40000000", "last": "0xf7ffffff", "size": "0xb8000000"},
        "after": {"base": "0x40000000", "last": "0x13fffffff", "size": "0x100000000"},
        "message": "guest: mach-virt.ram (ram) resized: [0x40000000-0xf7ffffff] is now"
        " [0x40000000-0x13fffffff], 2944 MiB is now 4 GiB",
    }


def test_diff_of_two_hosts_compares_them_whatever_their_names() -> None:
    result = diff("-u", "layouts/hosts/hp-gen9.yaml", "layouts/hosts/intel-haswell.yaml")
    assert result.exit_code == 1
    assert result.stdout.startswith("--- hp-gen9\n+++ intel-haswell\n@@")
    # Both have the same MSI window: it is not among what differs.
    assert "0xfee00000-0xfeefffff" not in [
        line[1:].split()[0] for line in result.stdout.splitlines()[3:] if line[0] in "+-"
    ]


def test_diff_of_two_layouts_of_one_name_names_the_files(tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    text = (ROOT / LAYOUT).read_text(encoding="utf-8").replace("size: 4GiB", "size: 3GiB")
    other.write_text(text.replace("hosts/", f"{ROOT}/layouts/hosts/"), encoding="utf-8")
    result = diff(LAYOUT, other)
    assert result.exit_code == 1
    assert result.stdout.startswith(f"{LAYOUT} → {other}: ")
    assert "difference: guest: dimm0 (ram) resized: " in result.stdout


def test_diff_of_two_layouts_against_hosts_of_ones_own(tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    text = (ROOT / LAYOUT).read_text(encoding="utf-8").replace("size: 4GiB", "size: 3GiB")
    other.write_text(text, encoding="utf-8")
    result = diff(LAYOUT, other, "--host", "layouts/hosts/hp-gen9.yaml", "--scope", "host")
    assert result.exit_code == 1
    assert "guest: dimm0 (ram) resized: " in result.stdout
    assert "1152 MiB is now 128 MiB" in result.stdout


def test_the_scope_decides_what_is_shown() -> None:
    wide = show(LAYOUT, "--scope", "host").stdout
    narrow = show(LAYOUT, "--scope", "assigned").stdout
    assert "scope host" in wide
    assert "scope assigned" in narrow
    assert "groups 27, 28" in wide
    assert "groups 27, 28" not in narrow


def test_diff_is_drawn_as_asked(plan: Path, virt_map: Path, tmp_path: Path) -> None:
    out = tmp_path / "d.svg"
    assert diff("--format", "svg", plan, virt_map).stdout.startswith("<?xml")
    assert diff(plan, virt_map, out).exit_code == 1
    assert f"{out} exists already\n  = help: -f overwrites it" in diff(plan, virt_map, out).stderr
    out.write_text("mine", encoding="utf-8")
    assert diff("-f", "--no-collapse", plan, virt_map, out).exit_code == 1
    whole = out.read_text(encoding="utf-8")
    ET.fromstring(whole)
    folded = diff("--format", "svg", plan, virt_map).stdout
    assert whole.count("virtio-mmio") >= folded.count("virtio-mmio") + 31
    plain, coloured = diff(plan, virt_map), diff("--color", "always", plan, virt_map)
    assert "\x1b[" in coloured.stdout
    assert click.unstyle(coloured.stdout) == plain.stdout


def test_diff_as_pictures_marks_what_changed(plan: Path, virt_map: Path, tmp_path: Path) -> None:
    assert diff(plan, virt_map, tmp_path / "d.svg").exit_code == 1
    svg = (tmp_path / "d.svg").read_text(encoding="utf-8")
    ET.fromstring(svg)
    assert "± mach-virt.ram · 2944 MiB" in svg
    assert svg.count('class="box ram changed"') == 3
    assert "± resized" in svg
    assert diff(plan, virt_map, tmp_path / "d.html").exit_code == 1
    assert "<h2>Differences</h2>" in (tmp_path / "d.html").read_text(encoding="utf-8")
    assert diff(plan, virt_map, tmp_path / "d.json").exit_code == 1
    assert json.loads((tmp_path / "d.json").read_text())["differ"]


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ((), "give A and one of B, --qmp ADDR or -- QEMU ARGS, then maybe OUT"),
        ((AMD,), "give A and one of B, --qmp ADDR or -- QEMU ARGS"),
        ((AMD, "--"), "give a QEMU command line after --"),
        (("-", "-"), "only one of A and B can be standard input"),
        (("-u", AMD, AMD, "-.svg"), "--unified is text"),
        ((AMD, "--model", "--", *VIRT), "'puchatek' and 'qemu-system-aarch64' have nothing to"),
        ((AMD, "--qmp", "nonsense"), "'nonsense' is not an address; write unix:PATH"),
    ],
)
def test_what_cannot_be_compared(args: tuple[str, ...], why: str) -> None:
    result = diff(*args)
    assert result.exit_code == 2
    assert why in result.stderr


def test_diff_says_what_was_added_moved_and_renamed(virt_map: Path, tmp_path: Path) -> None:
    document = json.loads(virt_map.read_text())
    by_name = {region["name"]: region for region in document["regions"]}
    by_name["pl011"]["name"] = "uart"
    by_name["pl031"] |= {"base": "0x9011000", "last": "0x9011fff"}
    document["regions"].append(
        {"name": "dimm0", "kind": "ram", "base": "0x200000000", "last": "0x23fffffff"}
    )
    other = tmp_path / "other.json"
    other.write_text(json.dumps(document))
    text = diff(virt_map, other).stdout
    assert "difference: guest: dimm0 (ram) added: [0x200000000-0x23fffffff], 1 GiB\n" in text
    assert "guest: pl031 (io) moved: [0x9010000-0x9010fff] is now [0x9011000-0x9011fff]\n" in text
    assert "guest: pl011 (io) is now uart (io) at [0x9000000-0x9000fff]\n" in text


def test_diff_of_plans_against_other_hosts_shows_both(plan: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    args = [LAYOUT, "--host", "layouts/hosts/hisilicon-d05.yaml", "-o", str(other)]
    cli_runner().invoke(plan_command, args)
    data = json.loads(diff("--json", plan, other).stdout)
    hosts = {(change["change"], change["name"]) for change in data["changes"]}
    assert {("removed", "reserved"), ("added", "msi")} <= hosts
    assert data["uncompared"] == []
    page = tmp_path / "d.html"
    diff(plan, other, page)
    assert "usable (before: left by this host)" in page.read_text(encoding="utf-8")


def test_diff_with_a_running_qemu_that_is_not_there(plan: Path) -> None:
    result = diff(plan, "--qmp", "unix:/nonexistent/monitor")
    assert result.exit_code == 3
    assert "/nonexistent/monitor" in result.stderr


@pytest.mark.parametrize("name", ["show", "diff"])
def test_help_begins_with_an_example(name: str) -> None:
    command = {"show": show_command, "diff": diff_command}[name]
    text = cli_runner().invoke(command, ["--help"]).stdout
    assert "  Example:\n" in text
    assert text.count(f"\n    guestmap {name} ") == 4
