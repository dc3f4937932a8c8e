"""``info mtree -f`` as three QEMU versions print it."""

from __future__ import annotations

from pathlib import Path

import pytest

from planner.region import Kind
from planner.span import Span
from qmp_glue.errors import GarbageError
from qmp_glue.mtree import parse_mtree

SAMPLES = Path(__file__).parent / "mtree"
VERSIONS = ("7.2", "10.0", "11.1")


def sample(name: str) -> str:
    return (SAMPLES / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("machine", ["virt", "q35"])
def test_all_versions_print_the_same_map(machine: str) -> None:
    maps = [parse_mtree(sample(f"{machine}-{version}")) for version in VERSIONS]
    assert maps[0] == maps[1] == maps[2]


def test_the_cpu_view_is_taken_and_names_are_unique() -> None:
    regions = parse_mtree(sample("q35-7.2"))
    shown = [(str(region.span), region.name, region.kind.value) for region in regions]
    assert shown == [
        ("0x0-0xbffff", "pc.ram@0x0", "ram"),
        ("0xc0000-0xdffff", "pc.rom", "rom"),
        ("0xe0000-0xfffff", "pc.bios@0xe0000", "rom"),
        ("0x100000-0x7fffffff", "pc.ram@0x100000", "ram"),
        ("0xfec00000-0xfec00fff", "ioapic", "io"),
        ("0xfed00000-0xfed003ff", "hpet", "io"),
        ("0xfee00000-0xfeefffff", "apic-msi", "io"),
        ("0xfffc0000-0xffffffff", "pc.bios@0xfffc0000", "rom"),
        ("0x100000000-0x17fffffff", "pc.ram@0x100000000", "ram"),
    ]


@pytest.mark.parametrize(("machine", "doorbell"), [("q35", "apic-msi"), ("virt", "translation")])
def test_the_machines_doorbell_is_marked(machine: str, doorbell: str) -> None:
    regions = parse_mtree(sample(f"{machine}-7.2"))
    assert [region.name for region in regions if region.doorbell] == [doorbell]


def test_a_memory_device_goes_by_its_id() -> None:
    regions = parse_mtree(sample("virt-10.0"), {("m0", 0x8000_0000): "d0"})
    dimm = next(region for region in regions if region.name == "d0")
    assert dimm.span == Span.sized(0x8000_0000, 256 << 20)
    assert dimm.kind is Kind.RAM


def view(*lines: str) -> str:
    head = 'FlatView #0\n AS "memory", root: system\n Root memory region: system\n'
    return head + "".join(f"  {line}\n" for line in lines)


@pytest.mark.parametrize(
    ("word", "kind"),
    [("ramd", Kind.RAMD), ("nv-ram", Kind.NVRAM), ("container", Kind.IO), ("romd", Kind.ROMD)],
)
def test_every_kind_has_a_meaning(word: str, kind: Kind) -> None:
    line = (
        f"0000000000000000-0000000000000fff (prio 0, {word}): a thing with spaces @0000000000001000"
    )
    (region,) = parse_mtree(view(line))
    assert (region.name, region.kind) == ("a thing with spaces", kind)


def test_the_accelerators_mark_is_not_part_of_the_name() -> None:
    line = "0000000000000000-000000003fffffff (prio 0, ram): pc.ram @0000000000001000 KVM"
    assert parse_mtree(view(line))[0].name == "pc.ram"


def test_the_last_address_of_the_space_is_in_range() -> None:
    line = "fffffffffffff000-ffffffffffffffff (prio 0, i/o): top"
    assert parse_mtree(view(line))[0].span.last == (1 << 64) - 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", 'no flat view of address space "memory"'),
        ('FlatView #0\n AS "I/O", root: io\n  nothing\n', 'no flat view of address space "memory"'),
        (view(), 'no flat view of address space "memory"'),
        (view("No rendered FlatView"), "a line is not understood: 'No rendered FlatView'"),
        (
            view("0000000000000000-0000000000000fff (prio 0, magic): x"),
            "'magic' is not a known kind of region",
        ),
        (
            view("0000000000001000-0000000000000fff (prio 0, ram): x"),
            "a region ends before it starts",
        ),
    ],
)
def test_what_is_not_understood_is_refused(text: str, why: str) -> None:
    with pytest.raises(GarbageError, match="info mtree") as caught:
        parse_mtree(text)
    assert why in caught.value.message
