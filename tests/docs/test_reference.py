"""The generated reference is what the program would write now."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import generate
import pytest
from kit import ROOT, Golden
from kit.real import guestmap, paused_qemu

AMD = "layouts/hosts/amd-desktop.yaml"
AMD_TOO = "layouts/hosts/amd-workstation.yaml"
ARM = "qemu-system-aarch64 -M virt-7.2 -cpu max -m 4G -device vfio-pci,host=0000:29:00.0"
PLUG = (
    "hotplug --json --dry-run --qmp {qmp} --host layouts/hosts/amd-desktop.yaml --scope host"
    " --object memory-backend-ram,id=m1,size=128M virtio-mem-pci,id=d1,memdev=m1"
)
#: What is asked, and how the page names it; every format comes up.
SHOWN = [
    (f"host {AMD} --json", "host --json"),
    ("host layouts/hosts/acer-raptor-lake.yaml --json", "host --json"),
    ("plan layouts/arm-guest-on-amd.yaml --json", "plan --json"),
    (f"map --model --json -- {ARM}", "map --json"),
    (f"check --model --json --host {AMD} -- {ARM}", "check --json"),
    ("args {plan} --json", "args --json"),
    ("lint --json {bad}", "lint --json"),
    ("show --json layouts/arm-guest-on-amd.yaml", "show --json"),
    (f"show --json --model --host {AMD} --host {AMD_TOO} -- {ARM}", "show --json"),
    ("diff --json layouts/hosts/hp-gen9.yaml layouts/hosts/hp-gen8-dl388.yaml", "diff --json"),
    ("explain --json", "explain --json"),
    ("explain MM401 --json", "explain CODE --json"),
    (f"explain {{log}} --host {AMD} --json", "explain FILE --json"),
]
LIVE = [
    ("verify {plan} --qmp {qmp} --json", "verify --json"),
    (PLUG, "hotplug --json"),
]
LOG = "vfio_dma_map(0x55, 0x40000000, 0x100000000, 0x7f) = -22 (Invalid argument)\n"


def asked(words: str, files: dict[str, str]) -> dict[str, Any]:
    result = guestmap(*shlex.split(words.format(**files)))
    text = result.stdout
    for name, path in files.items():
        text = text.replace(path, name)
    document: dict[str, Any] = json.loads(text)
    return document


def test_commands(golden: Golden) -> None:
    golden("../docs/reference/commands.md", generate.commands_page())


def test_exit_codes(golden: Golden) -> None:
    golden("../docs/reference/exit-codes.md", generate.exit_codes_page())


@pytest.mark.qemu
def test_json_formats(golden: Golden, tmp_path: Path) -> None:
    files = {name: str(tmp_path / name) for name in ("plan", "bad", "log")}
    (tmp_path / "bad").write_text("schema: 1\nname: a\nmachine: {type: virtt}\n")
    (tmp_path / "log").write_text(LOG)
    guestmap("plan", "layouts/arm-guest-on-amd.yaml", "-o", files["plan"])
    samples = [(f"guestmap {shown}", asked(words, files)) for words, shown in SHOWN]
    machine = "qemu-system-aarch64 -M virt-7.2 -cpu max -m 1G,slots=2,maxmem=8G"
    for words, shown in LIVE:
        with paused_qemu(machine.split()) as address:
            samples.append((f"guestmap {shown}", asked(words, {**files, "qmp": address})))
    page = generate.json_page(samples)
    golden("../docs/reference/json.md", page)
    named = {
        found
        for path in (ROOT / "planner").rglob("*.py")
        for found in re.findall(r'"(guestmap/[a-z]+)"', path.read_text(encoding="utf-8"))
    }
    assert set(re.findall(r"^## (guestmap/\w+)", page, re.MULTILINE)) == named
