"""``guestmap map`` as a person and a program meet it; the three sources are tests/glue's."""

from __future__ import annotations

import json

import click
import pytest
from click.testing import Result
from kit import Golden, cli_runner

from planner.cli.map import command

VIRT = "qemu-system-aarch64 -M virt-7.2,gic-version=3 -cpu max -m 4G,slots=2,maxmem=8G"


def run(*args: str) -> Result:
    return cli_runner().invoke(command, args)


def test_the_model_as_text(golden: Golden) -> None:
    result = run("--model", "--", *VIRT.split())
    assert result.exit_code == 0
    golden("cli/golden/map-virt.txt", result.stdout)


def test_the_model_as_json() -> None:
    data = json.loads(run("--model", "--json", "--", *VIRT.split()).stdout)
    assert list(data) == [
        *("format", "version", "source", "qemu", "machine"),
        *("regions", "windows", "notes", "left_out"),
    ]
    ram = next(region for region in data["regions"] if region["kind"] == "ram")
    assert ram == {
        "name": "mach-virt.ram",
        "kind": "ram",
        "base": "0x40000000",
        "last": "0x13fffffff",
        "size": "0x100000000",
        "dma": True,
    }
    assert data["windows"][1] == {
        "name": "device-memory",
        "base": "0x140000000",
        "last": "0x2bfffffff",
        "size": "0x180000000",
    }


def test_colour_only_adds_colour() -> None:
    plain = run("--model", "--", *VIRT.split()).stdout
    coloured = run("--model", "--color", "always", "--", *VIRT.split()).stdout
    assert "\x1b[" in coloured
    assert click.unstyle(coloured) == plain


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ((), "give a QEMU command line after --, or --qmp and an address"),
        (("--qmp", "unix:x", "--", "qemu"), "give a QEMU command line after --, or --qmp"),
        (("--model", "--probe", "--", "qemu"), "--probe, --model and --qmp exclude each other"),
        (("--qmp", "nonsense"), "'nonsense' is not an address; write unix:PATH"),
        (("--", "qemu", "-frob"), "option '-frob' is not one of QEMU 7.2 to 11.1"),
        (("--model", "--", "qemu", "-frob"), "option '-frob' is not one of QEMU 7.2 to 11.1"),
        (
            ("--model", "--", "qemu-system-x86_64", "-M", "microvm"),
            "not modelled: machine 'microvm'",
        ),
        (("--model", "--", "qemu-system-x86_64", "-M", "microvm"), "leave --model out"),
        (
            ("--model", "--", "qemu-system-x86_64", "-m", "1G,slots=2"),
            "QEMU would refuse this: slots specified but no max-size",
        ),
    ],
)
def test_bad_usage_and_input_exit_with_2(args: tuple[str, ...], why: str) -> None:
    result = run(*args)
    assert result.exit_code == 2
    assert why in result.stderr


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (("--", "/nowhere/qemu-system-x86_64"), "no such program, or it may not be executed"),
        (("--qmp", "unix:/nowhere/qmp"), "No such file or directory"),
    ],
)
def test_a_qemu_out_of_reach_exits_with_3(args: tuple[str, ...], why: str) -> None:
    result = run(*args)
    assert result.exit_code == 3
    assert why in result.stderr


@pytest.mark.qemu
def test_a_refused_command_line_shows_qemus_words() -> None:
    result = run("--", "qemu-system-x86_64", "-M", "q35", "-cpu", "Z80")
    assert result.exit_code == 3
    assert "refused to start: unable to find CPU model 'Z80'" in result.stderr


@pytest.mark.qemu
def test_what_was_left_out_is_said() -> None:
    words = ["qemu-system-x86_64", "-M", "q35", "-m", "256M", "-device", "vfio-pci,host=29:00.0"]
    result = run("--probe", "--", *words)
    assert result.exit_code == 0
    assert "left out: -device vfio-pci,host=29:00.0\n" in result.stdout
    assert "apic-msi (doorbell)" in result.stdout
