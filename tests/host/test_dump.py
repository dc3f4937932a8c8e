"""Pasted output of grep, taken as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.host.dump import looks_like_dump, parse_dump
from planner.host.profile import Device, HostProfile, Scope
from planner.host.read import read_host

BASE = "/sys/kernel/iommu_groups"
MSI = "0x00000000fee00000 0x00000000feefffff msi"
HT = "0x000000fd00000000 0x000000ffffffffff reserved"

PUCHATEK = f"""\
$ grep -H . {BASE}/*/reserved_regions
{BASE}/28/reserved_regions:{MSI}
{BASE}/28/reserved_regions:{HT}
{BASE}/27/reserved_regions:{MSI}
{BASE}/27/reserved_regions:{HT}
"""


def read(text: str) -> HostProfile:
    return parse_dump(text.encode(), "dump.txt", "host")


def messages(profile: HostProfile) -> list[str]:
    return [f"{finding.code} {finding.message}" for finding in profile.findings]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_grep_with_paths_and_a_prompt(tmp_path: Path, line_end: str) -> None:
    file = tmp_path / "puchatek.txt"
    file.write_bytes(PUCHATEK.replace("\n", line_end).encode())
    profile = read_host(file)
    assert profile.name == "puchatek"
    assert [group.id for group in profile.groups] == ["27", "28"]
    assert [str(span) for span in profile.usable(Scope.HOST)] == [
        "0x0-0xfedfffff",
        "0xfef00000-0xfcffffffff",
        "0x10000000000-0xffffffffffffffff",
    ]
    assert messages(profile) == []
    assert len(profile.sha256) == 64
    origin = profile.groups[1].regions[0].origin
    assert str(origin) == f"kernel/iommu_groups/28/reserved_regions ({file}:2:1)"


@pytest.mark.parametrize("path", ["28", "./28", "iommu_groups/28"])
def test_grep_from_within_the_folder(path: str) -> None:
    (group,) = read(f"{path}/reserved_regions:{MSI}\n").groups
    assert group.id == "28"
    assert group.whole


def test_type_files_are_understood() -> None:
    text = f"{BASE}/3/type:DMA-FQ\n{BASE}/3/reserved_regions:{MSI}\n"
    (group,) = read(text).groups
    assert group.type == "DMA-FQ"
    assert group.whole


def test_a_group_of_which_only_the_type_is_there_is_not_whole() -> None:
    profile = read(f"{BASE}/3/type:DMA-FQ\n")
    assert not profile.groups[0].whole
    assert messages(profile) == [
        "MM303 reserved_regions of group 3 is empty, which does not mean that nothing is reserved"
    ]


def test_lines_without_paths_speak_for_the_whole_host() -> None:
    (group,) = read(f"{MSI}\n{HT}\n").groups
    assert group.id == "all"
    assert len(group.regions) == 2
    assert group.whole


def test_a_devices_own_link_names_the_device() -> None:
    text = f"/sys/devices/platform/AMDI0040:00/iommu_group/reserved_regions:{MSI}\n"
    (group,) = read(text).groups
    assert group.id == "AMDI0040:00"
    assert group.devices == (Device("AMDI0040:00"),)


def test_a_paste_cut_in_its_last_line_is_cut_in_that_group_only() -> None:
    profile = read(PUCHATEK.rstrip()[:-3])
    assert [group.whole for group in profile.groups] == [False, True]
    assert messages(profile)[-1] == (
        "MM301 reserved_regions of group 27 was cut: the dump's last line has no end"
    )


def test_a_cut_that_grep_has_ended_is_found_by_its_length() -> None:
    lines = (4096 - 1) // (len(MSI) + 1) - 1
    rest = 4095 - lines * (len(MSI) + 1)
    cut = MSI + " " * (rest - len(MSI))
    text = f"{BASE}/0/reserved_regions:{MSI}\n" * lines + f"{BASE}/0/reserved_regions:{MSI}\n"
    assert read(text).groups[0].whole
    inner = cut.replace(" 0x", " " * (rest - len(MSI) + 1) + "0x")[:rest]
    text = f"{BASE}/0/reserved_regions:{MSI}\n" * lines + f"{BASE}/0/reserved_regions:{inner}\n"
    profile = read(text)
    assert not profile.groups[0].whole
    assert messages(profile) == [
        (
            "MM301 reserved_regions of group 0 was cut: it is 4095 bytes long, which is where the"
            " kernel cuts on 4096-byte pages"
        )
    ]


def test_skipped_numbers_are_told() -> None:
    text = "".join(f"{BASE}/{id_}/reserved_regions:{MSI}\n" for id_ in (1, 4, 5))
    profile = read(text)
    assert messages(profile) == [
        "MM315 the dump has no line of groups 2, 3, which lie between groups it has"
    ]


def test_what_is_no_region_is_malformed() -> None:
    profile = read(f"{MSI}\ngrep: reserved_regions: Permission denied\n")
    assert not profile.groups[0].whole
    assert messages(profile) == [
        (
            "MM304 'grep: reserved_regions: Permission denied' of group all is not two addresses"
            " and a word (pasted dump (dump.txt:2:1))"
        )
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (PUCHATEK, True),
        (f"\n{MSI}\n", True),
        ("schema: 1\n", False),
        ("# 0x0 0x1 msi\n", False),
        ("", False),
    ],
)
def test_dumps_are_told_from_profiles(text: str, expected: bool) -> None:
    assert looks_like_dump(text) is expected


@given(st.binary(max_size=200))
def test_no_bytes_raise(data: bytes) -> None:
    for group in parse_dump(data, "dump.txt", "host").groups:
        assert group.regions or not group.whole
