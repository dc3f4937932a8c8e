"""``guestmap host`` as a person and a program meet it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from kit import ROOT, cli_runner
from kit.captures import Captured

from planner.cli import group
from planner.cli.host import command

HOSTS = ROOT / "layouts" / "hosts"
PUCHATEK = str(HOSTS / "amd-desktop.yaml")


def run(*args: str) -> Result:
    return cli_runner().invoke(command, args, standalone_mode=False)


def document(*args: str) -> Any:
    result = run(*args, "--json")
    return json.loads(result.stdout)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("puchatek", (PUCHATEK,)),
        ("puchatek-device", (PUCHATEK, "--device", "29:00.0", "--address-bits", "48")),
        ("hp-gen9", (str(HOSTS / "hp-gen9.yaml"),)),
        ("hp-gen9-nic", (str(HOSTS / "hp-gen9.yaml"), "--device", "0000:02:00.0")),
        ("honeycomb", (str(HOSTS / "lx2160a-honeycomb.yaml"),)),
        ("d05", (str(HOSTS / "hisilicon-d05.yaml"),)),
        ("apollo70", (str(HOSTS / "apollo70-thunderx2.yaml"), "--doorbells", "17")),
        ("seattle", (str(HOSTS / "amd-seattle.yaml"), "--page-size", "4KiB")),
        ("xavier", (str(HOSTS / "jetson-xavier.yaml"),)),
        ("xgene2", (str(HOSTS / "apm-xgene2.yaml"),)),
        ("raptor-lake", (str(HOSTS / "acer-raptor-lake.yaml"),)),
    ],
)
def test_text_is_as_it_was(
    golden: Any, monkeypatch: pytest.MonkeyPatch, name: str, args: tuple[str, ...]
) -> None:
    monkeypatch.chdir(ROOT)
    result = run(*(arg.removeprefix(f"{ROOT}/") for arg in args))
    golden(f"cli/golden/host-{name}.txt", result.stdout + f"exit {int(result.return_value)}\n")


def test_a_tree_that_a_kernel_showed(golden: Any, captured: Captured) -> None:
    result = run("--sysfs", str(captured("intel-rmrr-7.2")))
    golden("cli/golden/host-rmrr.txt", result.stdout + f"exit {int(result.return_value)}\n")


def test_json_is_as_it_was(golden: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    data = document("layouts/hosts/amd-desktop.yaml", "--address-bits", "48")
    golden("cli/golden/host-puchatek.json", json.dumps(data, indent=2) + "\n")


def test_json_has_what_is_promised() -> None:
    data = document(PUCHATEK)
    assert data["format"] == "guestmap/host"
    assert data["version"] == 1
    promised = {"name", "kernel", "address_bits", "groups", "usable", "findings"}
    assert promised <= set(data)
    (first, second) = data["groups"]
    assert {"id", "type", "devices", "regions", "usable"} <= set(first)
    assert second["devices"] == [{"name": "0000:29:00.0"}]
    assert second["regions"][0] == {
        "base": "0xfee00000",
        "last": "0xfeefffff",
        "size": "0x100000",
        "type": "msi",
    }
    assert second["usable"] == data["usable"]
    assert data["usable"][0] == {"base": "0x0", "last": "0xfedfffff", "size": "0xfee00000"}


def test_what_is_written_is_read_back_to_the_same_document(tmp_path: Path) -> None:
    file = tmp_path / "out.yaml"
    args = ("--address-bits", "48", "--doorbells", "3", "--page-size", "16K")
    assert run(PUCHATEK, *args, "-o", str(file)).return_value == 0
    first, second = document(PUCHATEK, *args), document(str(file))
    del first["sha256"], second["sha256"]
    assert first == second
    assert second["address_bits"] == 48
    assert second["doorbells"] == 3
    assert second["page_size"] == "0x4000"


def test_a_profile_to_stdout_stands_alone() -> None:
    result = run(PUCHATEK, "-o", "-")
    modeline = "# yaml-language-server: $schema=host-v1.json\n"
    assert result.stdout.startswith(f"{modeline}schema: 1\nhost:\n  name: puchatek\n")
    assert result.stderr == ""


def test_a_copied_tree(tmp_path: Path) -> None:
    regions = tmp_path / "h" / "kernel" / "iommu_groups" / "0" / "reserved_regions"
    regions.parent.mkdir(parents=True)
    regions.write_text("0x00000000fee00000 0x00000000feefffff msi\n", encoding="ascii")
    data = document("--sysfs", str(tmp_path / "h"), "--address-bits", "39")
    assert data["name"] == "h"
    assert data["usable"][-1]["last"] == "0x7fffffffff"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("0x00000000fee00000 0x00000000feefffff msi", "MM301"),
        ("", "MM303"),
        ("0x00000000fee00000\n", "MM304"),
        ("0x00000000fee00000 0x0000000000000fff msi\n", "MM305"),
        ("0x0000000000000000 0xffffffffffffffff reserved\n", "MM306"),
    ],
)
def test_damage_ends_with_one_and_leaves_nothing_usable(
    tmp_path: Path, text: str, code: str
) -> None:
    regions = tmp_path / "kernel" / "iommu_groups" / "0" / "reserved_regions"
    regions.parent.mkdir(parents=True)
    regions.write_text(text, encoding="ascii")
    result = run("--sysfs", str(tmp_path), "--json")
    assert result.return_value == 1
    data = json.loads(result.stdout)
    assert code in [finding["code"] for finding in data["findings"]]
    assert data["usable"] == []


def test_findings_of_other_groups_do_not_concern_a_device(tmp_path: Path) -> None:
    good = tmp_path / "kernel" / "iommu_groups" / "0"
    (good / "devices" / "0000:01:00.0").mkdir(parents=True)
    (good / "reserved_regions").write_text("0x00000000fee00000 0x00000000feefffff msi\n")
    bad = tmp_path / "kernel" / "iommu_groups" / "1"
    bad.mkdir()
    (bad / "reserved_regions").write_text("")
    assert run("--sysfs", str(tmp_path), "--device", "01:00.0").return_value == 0
    assert run("--sysfs", str(tmp_path), "--device", "01:00.0", "--scope", "host").return_value == 1
    unknown = run("--sysfs", str(tmp_path), "--device", "02:00.0")
    assert unknown.return_value == 1
    assert "0000:02:00.0 is in no IOMMU group" in unknown.stdout


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((PUCHATEK, "--sysfs", "/sys"), "give PROFILE or --sysfs, not both"),
        ((PUCHATEK, "--scope", "assigned"), "--scope assigned needs --device"),
        ((PUCHATEK, "--json", "-o", "-"), "--json and -o - would both write to stdout"),
        ((PUCHATEK, "--page-size", "4KB"), "'4KB' is ambiguous"),
        ((PUCHATEK, "--page-size", "12KiB"), "'12KiB' is no page size of Linux"),
        ((PUCHATEK, "--address-bits", "65"), "65 is not in the range"),
        (("absent.yaml",), "absent.yaml cannot be read: No such file or directory"),
        ((PUCHATEK, "-o", "absent/x.yaml"), "absent/x.yaml cannot be written"),
    ],
)
def test_what_cannot_be_done_ends_with_two(args: tuple[str, ...], message: str) -> None:
    result = cli_runner().invoke(group, ["host", *args])
    assert result.exit_code == 2
    assert message in result.stderr


def test_groups_behind_unlike_units_are_apart(tmp_path: Path) -> None:
    file = tmp_path / "h.yaml"
    file.write_text(
        "schema: 1\nhost: {name: h, address-bits: 39}\n"
        'regions: ["0xfee00000 0xfeefffff msi"]\n'
        'groups: [{id: "1"}, {id: "2", address-bits: 48}]\n',
        encoding="utf-8",
    )
    text = run(str(file)).stdout
    assert "\ngroup 2, 48 address bits\n" in text
    assert text.count("0xfef00000-0x0000007fffffffff") == 0
    assert text.count("0x00000000fef00000-0x0000007fffffffff") == 2
    assert text.count("0x00000000fef00000-0x0000ffffffffffff") == 1


def test_colour_only_adds_colour() -> None:
    plain = run(PUCHATEK, "--color", "never").stdout
    coloured = cli_runner().invoke(
        command, [PUCHATEK, "--color", "always"], standalone_mode=False, color=True
    )
    assert "\x1b[" in coloured.stdout
    import click  # noqa: PLC0415

    assert click.unstyle(coloured.stdout) == plain


def test_as_a_process() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", "from planner.cli import main; main()", "host", PUCHATEK, "--json"],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert ended.returncode == 0
    assert ended.stderr == ""
    assert json.loads(ended.stdout)["name"] == "puchatek"
