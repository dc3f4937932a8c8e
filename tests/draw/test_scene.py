"""What a picture shows: lanes, the folded scale, collapsed runs, collisions."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import ROOT
from kit.plan_cases import plan_of_text, shipped

from planner.draw.columns import clashes_of, exhibit_columns, scene_of
from planner.draw.exhibit import Exhibit, of_map, of_plan
from planner.draw.export import scene_json
from planner.draw.scene import LEAST, LINE, Box, Column, Role, Scene, Style, make_scene
from planner.draw.scene_text import scene_text
from planner.host.profile import Scope
from planner.judge.forbidden import bind
from planner.region import GuestMap, Kind, Origin, Region, Window, WindowKind
from planner.span import ADDRESS_LIMIT, GIB, MIB, Span

HERE = Origin("here")


def box(number: int, start: int, end: int, style: Style = Style.RAM) -> Box:
    return Box(f"c/{number}", f"r{number}", style.value, style, Span(start, end))


def scene(*boxes: Box) -> Scene:
    return make_scene("t", (), [Column("c", "c", Role.GUEST, boxes)])


def shown(name: str) -> Scene:
    text = (ROOT / "layouts" / f"{name}.yaml").read_text(encoding="utf-8")
    return scene_of(of_plan(plan_of_text(text)))


def test_the_scale_covers_every_address_once() -> None:
    drawn = shown("arm-fleet")
    ends = [0, *(stretch.span.end for stretch in drawn.stretches)]
    assert [stretch.span.start for stretch in drawn.stretches] == ends[:-1]
    assert ends[-1] == ADDRESS_LIMIT


@given(
    st.lists(
        st.tuples(
            st.integers(0, 64), st.integers(1, 40), st.sampled_from(list(Style)), st.integers(0, 40)
        ),
        max_size=25,
    )
)
def test_every_box_is_high_enough_to_read_and_none_cover_each_other(
    rows: list[tuple[int, int, Style, int]],
) -> None:
    boxes = [
        box(number, start << shift, start + size << shift, style)
        for number, (start, size, style, shift) in enumerate(rows)
        if start + size << shift <= ADDRESS_LIMIT
    ]
    drawn = scene(*boxes)
    heights = {s.span: s.height for s in drawn.stretches}
    assert all(height >= LEAST for height in heights.values())
    for one in drawn.boxes:
        height = sum(h for span, h in heights.items() if one.span.contains(span))
        least = LEAST if one.style in (Style.IO, Style.USABLE) else 2 * LINE
        assert height >= least
        assert 0 <= one.lane < one.of_lanes
    for one in drawn.boxes:
        for other in drawn.boxes:
            if one.id < other.id and one.span.overlaps(other.span):
                assert one.lane != other.lane
                assert one.of_lanes == other.of_lanes


def test_a_megabyte_in_2_to_the_64_has_room_for_two_lines() -> None:
    drawn = scene(box(0, 0xFEE0_0000, 0xFEF0_0000), box(1, 1 << 48, ADDRESS_LIMIT))
    doorbell = next(s for s in drawn.stretches if s.span.start == 0xFEE0_0000)
    assert 2 * LINE <= doorbell.height < 100
    assert drawn.height < 300


def test_windows_stand_to_the_right_of_what_is_in_them() -> None:
    drawn = scene(box(0, 0, 100, Style.WINDOW), box(1, 10, 20), box(2, 30, 40), box(3, 200, 300))
    assert [(b.lane, b.of_lanes) for b in drawn.boxes] == [(1, 2), (0, 2), (0, 2), (0, 1)]


def guest(*regions: Region, windows: tuple[Window, ...] = ()) -> GuestMap:
    return GuestMap("model", "custom", "", regions, windows)


def slots(count: int, size: int = 0x200, kind: Kind = Kind.IO) -> list[Region]:
    return [
        Region(Span.sized(0x1000 + n * size, size), f"slot@{0x1000 + n * size:#x}", kind, HERE)
        for n in range(count)
    ]


def titles(found: GuestMap, *, collapse: bool = True) -> list[str]:
    drawn = scene_of(of_map("t", found, None), collapse=collapse)
    return [one.title for one in drawn.boxes]


def test_a_run_of_equal_neighbours_is_one_box() -> None:
    drawn = scene_of(of_map("t", guest(*slots(32)), None))
    (run,) = drawn.boxes
    assert (run.title, run.span) == ("slot ×32", Span(0x1000, 0x5000))
    assert "32 of 512 bytes, slot@0x1000 to slot@0x4e00" in run.words


@pytest.mark.parametrize(
    ("regions", "collapse"),
    [(slots(2), True), (slots(5), False), (slots(5, 0x1000, Kind.RAM), True)],
    ids=["too few", "not wanted", "memory is never folded"],
)
def test_what_is_not_collapsed(regions: list[Region], collapse: bool) -> None:
    assert titles(guest(*regions), collapse=collapse) == ["slot"] * len(regions)


def test_a_gap_ends_a_run() -> None:
    run = slots(6)
    del run[3]
    assert titles(guest(*run)) == ["slot ×3", "slot", "slot"]


def test_numbered_names_of_one_stem_are_a_run() -> None:
    names = [Region(Span.sized(n << 12, 4096), f"uart{n}", Kind.IO, HERE) for n in range(4)]
    assert titles(guest(*names)) == ["uart ×4"]


def test_collisions_name_both_sides_and_the_exact_bytes() -> None:
    ram = Region(Span(GIB, 5 * GIB), "ram", Kind.RAM, HERE)
    binding = bind([shipped("amd-desktop")], Scope.HOST, ())
    drawn = scene_of(of_map("t", guest(ram), binding))
    assert [clash.words for clash in drawn.clashes] == [
        "ram meets msi of puchatek: 1 MiB at [0xfee00000-0xfeefffff]"
    ]


def test_where_more_than_two_meet_is_said_once_more_for_all() -> None:
    ram = Region(Span(GIB, 5 * GIB), "ram", Kind.RAM, HERE)
    hosts = [replace(shipped("amd-desktop"), name=name) for name in ("a", "b")]
    drawn = scene_of(of_map("t", guest(ram), bind(hosts, Scope.HOST, ())))
    words = "3 regions meet at [0xfee00000-0xfeefffff]: ram, msi of a, msi of b"
    assert [pile.words for pile in drawn.pileups] == [words]
    assert f"✖ {words}\n" in scene_text(drawn)
    assert scene_json(drawn)["pileups"] == [
        {
            "regions": ["ram", "msi of a", "msi of b"],
            "base": "0xfee00000",
            "last": "0xfeefffff",
            "size": "0x100000",
        }
    ]


def test_memory_as_asked_and_as_planned_do_not_meet() -> None:
    drawn = shown("arm-guest-on-kunpeng")
    assert drawn.clashes
    assert not drawn.pileups


def test_registers_over_a_forbidden_range_are_no_collision() -> None:
    gic = Region(Span(0xFEE0_0000, 0xFEF0_0000), "gic", Kind.IO, HERE)
    binding = bind([shipped("amd-desktop")], Scope.HOST, ())
    assert not scene_of(of_map("t", guest(gic), binding)).clashes


def test_a_plan_that_moved_memory_shows_it_as_asked_with_its_collision() -> None:
    drawn = shown("arm-guest-on-amd")
    assert [c.title for c in drawn.columns] == ["as asked", "as planned", "puchatek", "usable"]
    assert [c.guest for c in drawn.clashes] == ["mach-virt.ram as asked"]


def test_a_plan_that_moved_nothing_shows_one_guest() -> None:
    drawn = shown("x86-terabyte-on-amd")
    assert [c.title for c in drawn.columns] == ["guest", "amd-workstation", "usable"]
    assert not drawn.clashes


def test_what_binds_nothing_is_advice() -> None:
    drawn = scene_of(of_map("t", None, bind([shipped("hp-gen9")], Scope.HOST, ())))
    advice = {one.kind: one.name for one in drawn.boxes if one.style is Style.ADVICE}
    assert advice == {
        "allowed to guest memory": "direct-relaxable",
        "direct, of a group that cannot be assigned": "direct",
    }
    assert not clashes_of(drawn.columns)


def test_a_host_without_groups_leaves_nothing_usable() -> None:
    profile = shipped("amd-desktop")
    bare = type(profile)(profile.name, "", "none", None, ())
    exhibit = of_map("t", None, bind([bare], Scope.HOST, ()))
    assert exhibit.usable is not None
    assert not exhibit.usable


def test_the_chosen_doorbell_is_shown_once() -> None:
    own = Region(Span(0xFEE0_0000, 0xFEF0_0000), "apic-msi", Kind.IO, HERE, doorbell=True)
    exhibit = Exhibit("t", (), guest(own), doorbell=own.span)
    (column,) = exhibit_columns(exhibit)
    assert [one.name for one in column.boxes] == ["apic-msi"]
    elsewhere = Exhibit("t", (), guest(own), doorbell=Span(GIB, GIB + MIB), doorbell_words="why")
    (column,) = exhibit_columns(elsewhere)
    assert [one.name for one in column.boxes] == ["MSI doorbell", "apic-msi"]
    assert "why" in column.boxes[0].words


def test_a_window_is_named_by_its_kind() -> None:
    window = Window(Span(GIB, 2 * GIB), "pci-mmio32", WindowKind.PCI_MMIO32, HERE)
    (one,) = scene_of(of_map("t", guest(windows=(window,)), None)).boxes
    assert one.words == "pci-mmio32: pci-mmio32 window, [0x40000000-0x7fffffff], 1 GiB, from here"
