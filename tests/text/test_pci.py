"""PCI addresses: every spelling that QEMU takes names the same device everywhere."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import cli_runner
from kit.real import need
from kit.traps import GOOD

from planner.argv.line import parse_argv
from planner.argv.split import ArgvError
from planner.cli import group
from planner.layout.load import load
from planner.text.pci import PCI_SCHEMA, device_name, find_pci, parse_pci
from qmp_glue.guard.assigned import UnknownDeviceError, named_by
from qmp_glue.guard.verdicts import Peer

#: Spelling → sysfs's name, None where QEMU 7.2 to 11.1 refuse it.
SPELLINGS = {
    "1:0.0": "0000:01:00.0",
    "0:1:0.0": "0000:01:00.0",
    "c1:1f.7": "0000:c1:1f.7",
    "0000:C1:00.0": "0000:c1:00.0",
    "ffff:ff:1F.7": "ffff:ff:1f.7",
    "c1:20.0": None,
    "0000:0f:f2.0": None,
    "c1:1f.8": None,
    "100:0.0": None,
    "c1:00": None,
    "c1:00.0a": None,
    "-1:0.0": None,
    "fffffffff:1:0.0": None,
}


@pytest.mark.parametrize("text", SPELLINGS)
def test_every_reader_names_the_same_device(text: str) -> None:
    name = SPELLINGS[text]
    assert parse_pci(text) == name
    assert bool(re.search(PCI_SCHEMA, text)) == bool(name)
    words = ["qemu-system-x86_64", "-M", "q35", "-device", f"vfio-pci,host={text}"]
    layout, findings = load((GOOD + f"devices: [{{host: {text}}}]\n").encode(), "f.yaml")
    if name is None:
        with pytest.raises(ArgvError, match="is not a PCI address"):
            parse_argv(words)
        with pytest.raises(UnknownDeviceError, match="is not a PCI address"):
            named_by({"host": text}, Peer(), Path("/nonexistent"))
        assert [finding.code for finding in findings] == ["MM112"]
    else:
        assert layout is not None
        assert layout.devices == (name,)
        assert [device.host for device in parse_argv(words).assigned] == [name]
        assert named_by({"host": text}, Peer(), Path("/nonexistent")).name == name


@pytest.mark.qemu
@pytest.mark.parametrize("text", SPELLINGS)
def test_qemu_takes_the_same(text: str) -> None:
    words = [need("qemu-system-x86_64"), "-display", "none", "-S", "-device"]
    said = subprocess.run(
        [*words, f"vfio-pci,host={text}"], capture_output=True, text=True, timeout=60, check=False
    ).stderr
    name = SPELLINGS[text]
    want = "doesn't take value" if name is None else f"{name}: no such host device"
    assert want in said


@pytest.mark.parametrize("command", ["host", "check", "new"])
def test_a_device_on_the_command_line_is_read_alike(command: str) -> None:
    tail = ["--", "qemu-system-x86_64", "-M", "q35"] if command == "check" else []
    words = [command, "--host" if command != "host" else "--sysfs", "/nonexistent"]
    result = cli_runner().invoke(group, [*words, "--device", "c1:20.0", *tail])
    assert result.exit_code == 2
    assert "'c1:20.0' has slot '20'; a PCI slot is 00 to 1f" in result.stderr


def test_host_finds_a_device_in_upper_case() -> None:
    words = ["host", "layouts/hosts/hp-gen9.yaml", "--device", "0000:00:1A.0"]
    result = cli_runner().invoke(group, words)
    assert "MM310" not in result.output
    assert "0000:00:1a.0" in result.output


def test_a_domain_that_host_does_not_take_is_refused_with_what_to_write() -> None:
    name = "10000:e1:00.0"
    words = ["qemu-system-x86_64", "-M", "q35", "-device"]
    with pytest.raises(ArgvError, match=r"write sysfsdev=/sys/bus/pci/devices/10000:e1:00.0"):
        parse_argv([*words, f"vfio-pci,host={name}"])
    (device,) = parse_argv([*words, f"vfio-pci,sysfsdev=/sys/bus/pci/devices/{name}"]).assigned
    assert device.host == name


@given(st.tuples(*(st.integers(0, most) for most in (0xFFFFFFFF, 0xFF, 0x1F, 7))))
def test_canonical_is_a_fixed_point(numbers: tuple[int, int, int, int]) -> None:
    name = "{:04x}:{:02x}:{:02x}.{}".format(*numbers)
    assert parse_pci("{:X}:{:x}:{:X}.{}".format(*numbers)) == name
    assert device_name(name) == name
    assert list(find_pci(f"vfio {name.upper()}: failed")) == [name]
