"""The table of -M options against the programs: what they have, and what moves no map."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest
from kit import ROOT

from planner.machine.family import QEMU_FAMILIES, family
from planner.machine.options import Effect
from planner.machine.versions import parse_version
from qmp_glue.mtree import parse_mtree

pytestmark = pytest.mark.qemu

#: The installed QEMU, and those that scripts/get-qemu brought.
PLACES = [
    str(Path(found).parent) for found in [shutil.which("qemu-system-x86_64")] if found
] + sorted(str(path) for path in (ROOT / ".cache").glob("qemu-*"))
#: Values where ``on`` is none; None: it needs an object, an image or a structure beside it.
VALUES: Mapping[str, str | None] = {
    **dict.fromkeys(
        [
            *("accel", "append", "boot", "firmware", "hmat", "initrd", "kernel", "kernel-irqchip"),
            *("memory-backend", "pcspk-audiodev", "pflash0", "pflash1", "ras", "smp", "smp-cache"),
        ]
    ),
    "bus-lock-ratelimit": "5",
    "graphics": "off",
    "nvdimm-persistence": "cpu",
    "pic": "off",
    "pit": "off",
    "smbios-entry-point-type": "64",
    "smm": "off",
    "vmport": "off",
    "x-oem-id": "ABCDEF",
    "x-oem-table-id": "ABCDEFGH",
}
#: In the object tree, and nothing to write on a command line.
NO_OPTIONS = {"type", "rtc-time", "device-memory-region-size"}


def start(place: str, name: str, *options: str) -> list[str]:
    program = Path(place) / f"qemu-system-{family(name).targets[0]}"
    return [str(program), "-M", ",".join([name, *options]), "-display", "none", "-nodefaults", "-S"]


@cache
def version(place: str) -> tuple[int, int]:
    said = subprocess.run(
        [Path(place) / "qemu-system-x86_64", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    return parse_version(said.stdout.split("version ", 1)[1].split()[0])


def view(place: str, name: str, *options: str, bios: str = "") -> object:
    """Return what is where, or QEMU's refusal."""
    words = [*start(place, name, *options), "-monitor", "stdio", *(["-bios", bios] if bios else [])]
    done = subprocess.run(
        words, input="info mtree -f\nquit\n", capture_output=True, text=True, check=False
    )
    if done.returncode:
        return done.stderr.strip()
    text = done.stdout.split("(qemu)")[1].partition("\n")[2]
    return {(region.span, region.name, region.kind) for region in parse_mtree(text, {})}


def listed(place: str, name: str) -> set[str]:
    """Return the options a machine lists, and those its object has besides."""
    helped = subprocess.run(start(place, name, "help"), capture_output=True, text=True, check=True)
    names = {line.split("=")[0].strip() for line in helped.stdout.splitlines() if "=<" in line}
    asked = "".join(
        json.dumps(command)
        for command in (
            {"execute": "qmp_capabilities"},
            {"execute": "qom-list", "arguments": {"path": "/machine"}},
            {"execute": "quit"},
        )
    )
    words = [*start(place, name), "-qmp", "stdio"]
    said = subprocess.run(words, input=asked, capture_output=True, text=True, check=True)
    for line in said.stdout.splitlines():
        found = json.loads(line).get("return")
        if isinstance(found, list):
            names |= {e["name"] for e in found if not e["type"].startswith(("child<", "link<"))}
    return names - NO_OPTIONS


@pytest.mark.parametrize("name", QEMU_FAMILIES)
@pytest.mark.parametrize("place", PLACES)
def test_every_option_of_a_program_is_in_the_table(place: str, name: str) -> None:
    facts = family(name).options
    found = listed(place, name)
    assert sorted(found - facts.keys()) == []
    assert sorted(each for each in found if facts[each].since > version(place)) == []


@pytest.mark.parametrize("name", QEMU_FAMILIES)
@pytest.mark.parametrize("place", PLACES)
def test_what_is_said_to_move_nothing_moves_nothing(place: str, name: str) -> None:
    plain = view(place, name)
    wrong = {}
    for option, fact in family(name).options.items():
        value = VALUES.get(option, "on")
        if fact.effect is not Effect.NONE or value is None:
            continue
        found = view(place, name, f"{option}={value}")
        if fact.since > version(place):
            if not (isinstance(found, str) and f"-machine.{option}' not found" in found):
                wrong[option] = found
        elif found != plain:
            wrong[option] = found
    assert wrong == {}


@pytest.mark.parametrize("name", QEMU_FAMILIES)
def test_firmware_as_an_option_is_bios(name: str, tmp_path: Path) -> None:
    image = tmp_path / "firmware.bin"
    image.write_bytes(bytes(64 << 10))
    place = PLACES[0]
    assert view(place, name, f"firmware={image}") == view(place, name, bios=str(image))
