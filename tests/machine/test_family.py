"""The family record: how a machine is known by its name, and that a family is one folder."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import pytest
from kit import ROOT

from planner.machine import family as families
from planner.machine.family import (
    QEMU_FAMILIES,
    Family,
    default_family,
    family,
    find_family,
    for_type,
    native_family,
    recognise,
    target_of,
    virtio_mem_extent,
)
from planner.machine.request import NotModelledError
from planner.machine.versions import KNOWN_QEMUS, NEWEST, OLDEST, show_release
from planner.span import GIB, MIB


@pytest.mark.parametrize(
    ("machine_type", "target", "name", "version"),
    [
        ("virt", "aarch64", "virt", ""),
        ("virt-7.2", "aarch64", "virt", "7.2"),
        ("virt-7.2", "arm", "virt", "7.2"),
        ("virt-rhel9.2.0", "aarch64", "virt", None),
        ("virt", "riscv64", "riscv-virt", ""),
        ("virt", "riscv32", "riscv-virt", ""),
        ("virt", "loongarch64", "loongarch-virt", ""),
        ("q35", "x86_64", "q35", ""),
        ("pc-q35-4.0.1", "x86_64", "q35", "4.0.1"),
        ("pc-q35-9.2+pve1", "x86_64", "q35", None),
        ("pc", "i386", "pc", ""),
        ("pc-i440fx-7.2", "x86_64", "pc", "7.2"),
        ("pc-i440fx-jammy", "x86_64", "pc", None),
        ("microvm", "x86_64", "microvm", ""),
        ("sbsa-ref", "aarch64", "sbsa-ref", ""),
    ],
)
def test_a_machine_type_is_known_by_its_name(
    machine_type: str, target: str, name: str, version: str | None
) -> None:
    found = recognise(machine_type, target)
    assert found is not None
    assert (found.name, found.version_in(machine_type)) == (name, version)


@pytest.mark.parametrize(
    ("machine_type", "target"),
    [
        ("virt", ""),
        ("virt", "s390x"),
        ("virt-7.2", "x86_64"),
        ("q35", "aarch64"),
        ("isapc", "x86_64"),
        ("xlnx-versal-virt", "aarch64"),
        ("custom", "x86_64"),
        ("", "x86_64"),
    ],
)
def test_no_other_machine_is_taken_for_it(machine_type: str, target: str) -> None:
    assert recognise(machine_type, target) is None


@pytest.mark.parametrize("name", QEMU_FAMILIES)
def test_a_type_reads_back_as_it_was_written(name: str) -> None:
    record = family(name)
    for version in ("", "7.2", "10.0"):
        written = record.machine_type(version)
        assert recognise(written, record.targets[0]) is record
        assert record.version_in(written) == version


@pytest.mark.parametrize(
    ("program", "target"),
    [
        ("qemu-system-aarch64", "aarch64"),
        ("/opt/q/qemu-system-x86_64", "x86_64"),
        ("/usr/libexec/qemu-kvm", "x86_64"),
        ("/usr/bin/kvm", "x86_64"),
        ("qemu-system-amd64", "x86_64"),
        ("qemu-system-arm64", "aarch64"),
        ("qemu-system-arm", "arm"),
        ("qemu-system-riscv64", "riscv64"),
    ],
)
def test_a_program_names_its_target(program: str, target: str) -> None:
    assert target_of(program) == target


def test_what_qemu_takes_without_a_machine() -> None:
    assert [getattr(default_family(t), "name", None) for t in ("x86_64", "i386", "aarch64")] == [
        "pc",
        "pc",
        None,
    ]


@pytest.mark.parametrize(
    ("target", "name"), [("aarch64", "virt"), ("x86_64", "q35"), ("riscv64", "q35")]
)
def test_what_is_proposed_on_a_host(target: str, name: str) -> None:
    assert native_family(target) == name


@pytest.mark.parametrize(
    ("target", "extent"),
    [
        ("x86_64", 256 * MIB),
        ("i386", 256 * MIB),
        ("aarch64", GIB),
        ("riscv64", GIB),
        ("s390x", GIB),
    ],
)
def test_how_far_virtio_mem_reaches(target: str, extent: int) -> None:
    assert virtio_mem_extent(target) == extent


@pytest.mark.parametrize("name", ["sbsa-ref", "riscv-virt", "custom", "nonsense"])
def test_tables_are_only_for_those_that_have_them(name: str) -> None:
    with pytest.raises(NotModelledError, match=f"'{name}' is not in the machine tables"):
        for_type(name)


def test_a_record_is_loaded_when_it_is_asked_for() -> None:
    script = """
import sys
def loaded():
    names = {name.split(".", 2)[2] for name in sys.modules if name.startswith("planner.machine.")}
    return sorted(names & {"virt", "virt.board", "pc", "pc.board", "custom", "probed"})
from planner.machine.family import family, for_type, recognise
print(loaded())
recognise("virt-7.2", "aarch64")
print(loaded())
for_type("virt")
print(loaded())
recognise("pc-q35-7.2", "x86_64")
print(loaded())
"""
    said = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert said.stdout.splitlines() == [
        "[]",
        "['virt']",
        "['virt', 'virt.board']",
        "['pc', 'virt', 'virt.board']",
    ], said.stderr


def test_a_family_is_one_folder_and_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    toy = Family("toy", alias="toy", stem="toy", targets=("toy64",), ram="toy.ram")
    package, board = ModuleType("planner.machine.toy"), ModuleType("planner.machine.toy.board")
    package.FAMILIES = {"toy": toy}  # type: ignore[attr-defined]
    asked: list[Family] = []
    board.machine = asked.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, package.__name__, package)
    monkeypatch.setitem(sys.modules, board.__name__, board)
    monkeypatch.setitem(families._FOLDERS, "toy", "toy")
    assert find_family("toy") is toy
    assert recognise("toy-1.0", "toy64") is toy
    for_type("toy")
    assert asked == [toy]


def test_the_range_of_versions_is_typed_nowhere() -> None:
    typed = f"QEMU {show_release(OLDEST)} to {show_release(NEWEST)}"
    assert typed == KNOWN_QEMUS
    sources = [*(ROOT / "planner").rglob("*.py"), *(ROOT / "qmp_glue").rglob("*.py")]
    assert [path for path in sources if typed in path.read_text(encoding="utf-8")] == []
