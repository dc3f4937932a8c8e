"""guestmap check: users' command lines, probed, judged and mended."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
from kit import ROOT, Golden, any_patch
from kit.real import code_of, guestmap, paused_qemu

from planner.cli.exits import FailedError

pytestmark = pytest.mark.qemu

ARM = ("qemu-system-aarch64", "-M", "virt-7.2")
BOOT = ("-M", "memory-backend=m", "-object")
AMD = ("--host", "layouts/hosts/amd-desktop.yaml")
CLIENT = ("--host", "layouts/hosts/acer-raptor-lake.yaml")
HP = ("--host", "layouts/hosts/hp-gen9.yaml")
NIC = ("-device", "vfio-pci,host=0000:29:00.0")
GPU = ("-device", "vfio-pci,host=01:00.0")


def sized(size: str) -> tuple[str, ...]:
    """Return boot memory that is not taken from this machine."""
    return (*BOOT, f"memory-backend-ram,id=m,size={size},reserve=off", "-m", size)


INTEL = "qemu64,vendor=GenuineIntel,phys-bits=48"
CASES: dict[str, tuple[tuple[str, ...], int]] = {
    "launchpad-1869006": ((*AMD, "--", *ARM, "-m", "4G", *NIC), 1),
    "terabyte": (
        (
            *AMD,
            "--",
            "qemu-system-x86_64",
            "-M",
            "pc-q35-7.2",
            "-cpu",
            INTEL,
            *sized("1100G"),
            *NIC,
        ),
        1,
    ),
    "client-39-bit": (
        (
            *CLIENT,
            "--",
            "qemu-system-x86_64",
            "-M",
            "pc-q35-7.2",
            "-cpu",
            "max,phys-bits=46",
            *sized("600G"),
            *GPU,
        ),
        1,
    ),
    "client-39-bit-bars": (
        (*CLIENT, "--", "qemu-system-x86_64", "-M", "pc-q35-7.2", *sized("500G"), *GPU),
        0,
    ),
    "hp-rmrr": (
        (
            *HP,
            "--",
            "qemu-system-x86_64",
            "-M",
            "pc-q35-7.2",
            "-m",
            "4G",
            "-device",
            "vfio-pci,host=04:00.0",
        ),
        1,
    ),
    "dimm-in-the-hole": (
        (
            *AMD,
            "--",
            "qemu-system-x86_64",
            "-M",
            "pc-q35-7.2",
            "-cpu",
            INTEL,
            "-m",
            "1G,slots=2,maxmem=1200G",
            "-object",
            "memory-backend-ram,id=m1,size=128M",
            "-device",
            "pc-dimm,id=d1,memdev=m1,addr=0xfd00000000",
            *NIC,
        ),
        1,
    ),
    "no-device-yet": ((*AMD, "--", *ARM, "-m", "4G"), 0),
    "all-is-well": ((*AMD, "--", *ARM, "-m", "3054M", *NIC), 0),
    "unidentified": ((*AMD, "--", *ARM, "-m", "1G", "-device", "vfio-pci,fd=9"), 1),
    "numa": (
        (
            *AMD,
            "--",
            *ARM,
            "-m",
            "4G",
            "-object",
            "memory-backend-ram,id=a,size=2G,reserve=off",
            "-object",
            "memory-backend-ram,id=b,size=2G,reserve=off",
            "-numa",
            "node,memdev=a",
            "-numa",
            "node,memdev=b",
            *NIC,
        ),
        1,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_golden_checks(name: str, golden: Golden) -> None:
    words, code = CASES[name]
    result = guestmap("check", *words)
    golden(f"real/golden/check-{name}.txt", any_patch(result.stdout))
    assert code_of(result) == code
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("name", CASES)
def test_what_is_proposed_probes_clean(name: str) -> None:
    words, _ = CASES[name]
    document: dict[str, Any] = json.loads(guestmap("check", "--json", *words).stdout)
    if document["fix"] is None:
        assert document["ok"] or document["no_fix"] or name in ("hp-rmrr", "unidentified")
        return
    at = words.index("--")
    again = guestmap("check", "--json", *words[:at], "--", *document["fix"]["argv"])
    repaired = json.loads(again.stdout)
    assert repaired["ok"], repaired["findings"]
    assert {"MM401", "MM402"}.isdisjoint(
        f["code"] for f in repaired["findings"] if f["severity"] == "error"
    )


def test_the_same_words_without_starting_a_qemu() -> None:
    words, _ = CASES["launchpad-1869006"]
    probed = json.loads(guestmap("check", "--json", *words).stdout)
    modelled = json.loads(guestmap("check", "--json", "--model", *words).stdout)
    assert modelled["source"] == "model"
    for field in ("ok", "fix", "devices", "hosts"):
        assert modelled[field] == probed[field]
    assert [f["code"] for f in modelled["findings"]] == [f["code"] for f in probed["findings"]]


def test_fix_prints_only_a_line_that_starts() -> None:
    words, _ = CASES["launchpad-1869006"]
    result = guestmap("check", "--fix", *words)
    assert code_of(result) == 0
    argv = shlex.split(result.stdout)
    assert result.stdout.count("\n") == 1
    # The host's device is not here; everything else starts as printed.
    at = argv.index("vfio-pci,host=0000:29:00.0")
    with paused_qemu([*argv[: at - 1], *argv[at + 1 :]]) as address:
        assert address
    untouched = guestmap("check", "--fix", *AMD, "--", *ARM, "-m", "1G", *NIC)
    assert untouched.stdout == "qemu-system-aarch64 -M virt-7.2 -m 1G -device " + NIC[1] + "\n"


def test_fix_prints_nothing_when_nothing_helps() -> None:
    result = guestmap("check", "--fix", *CASES["hp-rmrr"][0])
    assert (code_of(result), result.stdout) == (1, "")
    assert "error[MM403] device-unassignable" in result.stderr
    numa = guestmap("check", "--fix", *CASES["numa"][0])
    assert (code_of(numa), numa.stdout) == (1, "")
    assert "no change helps: boot memory is given by NUMA nodes" in numa.stderr


def _starts(argv: list[str]) -> None:
    """Start a proposed line without the host's device, which is not here."""
    at = argv.index(NIC[1])
    with paused_qemu([*argv[: at - 1], *argv[at + 1 :]]) as address:
        assert address


@pytest.mark.parametrize(
    ("backend", "piece"),
    [
        ("mem-path={}/f,,1,share=on", "memory-backend-memfd,id=mem0,size=1152M,share=on"),
        ("mem-path={},share=on", "memory-backend-file,id=mem0,size=1152M,mem-path={},share=on"),
    ],
)
def test_a_piece_never_shares_the_boot_memorys_file(
    backend: str, piece: str, tmp_path: Path
) -> None:
    """One word written was seen at two guest addresses; and commas in paths broke the line."""
    folder = tmp_path / "a,b"
    folder.mkdir()
    named = backend.format(str(folder).replace(",", ",,"))
    boot = ("-object", f"memory-backend-file,id=m,size=4G,{named}", "-m", "4G")
    words = ("--", *ARM, "-M", "memory-backend=m", *boot, *NIC)
    result = guestmap("check", "--fix", *AMD, *words)
    assert code_of(result) == 0, result.stderr
    argv = shlex.split(result.stdout)
    assert piece.format(str(folder).replace(",", ",,")) in argv
    _starts(argv)


def test_memory_that_is_there_twice_is_found_on_the_users_own_line(tmp_path: Path) -> None:
    twice = [f"memory-backend-file,id={n},size=1G,mem-path={tmp_path}/f,share=on" for n in "ab"]
    objects = ("-object", twice[0], "-object", twice[1])
    nodes = ("-numa", "node,memdev=a", "-numa", "node,memdev=b")
    words = (*AMD, "--", *ARM, "-m", "2G", *objects, *nodes, *NIC)
    result = guestmap("check", *words)
    assert code_of(result) == 1
    assert f"'a' and 'b' share 1 GiB of {tmp_path}/f: what the guest writes" in result.stdout
    private = [word.replace(",share=on", "") for word in words]
    assert code_of(guestmap("check", *private)) == 0


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("-object", "memory-backend-epc,id=e,size=1M"), "cannot be probed without SGX hardware"),
        (("-drive", "if=pflash,file=/gone"), "firmware image '/gone' cannot be read"),
    ],
)
def test_lines_that_can_be_neither_probed_nor_read(words: tuple[str, ...], why: str) -> None:
    with pytest.raises(click.ClickException) as caught:
        guestmap("check", *AMD, "--", "qemu-system-x86_64", "-M", "q35", *words)
    assert (caught.value.exit_code, why in caught.value.message) == (2, True)


def test_a_device_may_be_named_that_is_not_on_the_line() -> None:
    result = guestmap("check", *AMD, "--device", "29:00.0", "--", *ARM, "-m", "4G")
    assert code_of(result) == 1
    assert "of group 28 (0000:29:00.0) on puchatek" in result.stdout


def test_without_a_model_the_model_says_so() -> None:
    with pytest.raises(FailedError, match="not modelled: machine") as caught:
        guestmap("check", "--model", *AMD, "--", "qemu-system-aarch64", "-M", "sbsa-ref")
    assert caught.value.help == "the program itself can be asked: leave --model out"


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(FailedError, match="no such program") as caught:
        guestmap("check", *AMD, "--", "qemu-system-nowhere", "-M", "virt")
    assert caught.value.exit_code == 3


def test_a_host_that_is_not_there() -> None:
    with pytest.raises(FailedError, match=r"nowhere\.yaml cannot be read"):
        guestmap("check", "--host", "nowhere.yaml", "--", *ARM)
    assert (ROOT / "layouts").is_dir()
