"""Profile files: written, read back, written by hand, and wrong."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import ROOT
from kit.host_trees import HT, MSI, group, make_tree

from planner.documents.host import facts_json, facts_sha256
from planner.findings import CODES, Finding, Severity
from planner.host.profile import BridgeWindow, Device, Group, HostProfile, HostRegion, Scope
from planner.host.profile_file import parse_profile
from planner.host.profile_schema import IOMMU_KINDS
from planner.host.profile_text import write_profile
from planner.host.read import HostUnreadableError, read_host, read_profile_bytes
from planner.host.reserved import groups_party, merge
from planner.host.sysfs import read_sysfs
from planner.region import Origin
from planner.span import Span

HERE = Origin("somewhere")
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
BITS = st.none() | st.integers(1, 64)


@st.composite
def spans(draw: st.DrawFn, most: int = (1 << 64) - 1) -> Span:
    first = draw(st.integers(0, most))
    span = Span.inclusive(first, draw(st.integers(first, most)))
    # 0 to the last byte is ambiguous, which is tested by itself.
    return span if span.size < 1 << 64 else Span(1, span.end)


REGIONS = st.lists(
    st.builds(
        HostRegion,
        spans(),
        st.sampled_from(["direct", "direct-relaxable", "reserved", "msi", "strange-'\"\\word"]),
        st.just(HERE),
    ),
    min_size=1,
    max_size=4,
).map(merge)

DEVICES = st.lists(st.builds(Device, NAMES, NAMES, st.just(""), NAMES, NAMES), max_size=3).map(
    lambda devices: tuple(sorted(devices))
)


@st.composite
def profiles(draw: st.DrawFn) -> HostProfile:
    ids = sorted(draw(st.sets(st.integers(0, 50), min_size=1, max_size=5)))
    groups = []
    findings = []
    for id_ in map(str, ids):
        whole = draw(st.booleans())
        regions = draw(REGIONS)
        if not whole:
            findings.append(Finding("MM301", draw(NAMES), draw(NAMES), groups_party([id_])))
            regions = draw(st.sampled_from([regions, ()]))
        if any(region.type.startswith("strange") for region in regions):
            findings.append(Finding("MM302", "odd", "", groups_party([id_]), level=Severity.ERROR))
        type_ = draw(st.sampled_from(["", "DMA", "DMA-FQ", "identity"]))
        groups.append(Group(id_, type_, draw(DEVICES), regions, whole, draw(BITS)))
    windows: list[BridgeWindow] = []
    for span in draw(st.lists(spans((1 << 48) - 1), max_size=3)):
        bus = draw(st.none() | st.just(Span.sized(0x1000, span.size)))
        windows.append(BridgeWindow(span, draw(NAMES), Origin(str(len(windows))), bus))
    return HostProfile(
        name=draw(NAMES),
        kernel=draw(st.just("") | NAMES),
        iommu=draw(st.sampled_from(["", *IOMMU_KINDS])),
        address_bits=draw(BITS),
        groups=tuple(groups),
        bridge_windows=tuple(windows),
        isolated_msi=draw(st.sampled_from([None, True, False])),
        page_bytes=draw(st.sampled_from([None, 4096, 16384, 65536])),
        doorbells=draw(st.none() | st.integers(0, 300)),
        findings=tuple(findings),
        source=draw(st.just("") | NAMES),
        derived=draw(st.booleans()),
    )


def facts(profile: HostProfile) -> dict[str, object]:
    data = facts_json(profile)
    data["bridge_windows"] = sorted(map(str, data["bridge_windows"]))
    return data


@given(profiles())
def test_what_is_written_is_read_back(profile: HostProfile) -> None:
    text = write_profile(profile)
    back = parse_profile(text.encode(), "host.yaml")
    assert facts(back) == facts(profile)
    assert back.usable(Scope.HOST) == profile.usable(Scope.HOST)
    assert write_profile(replace(back, bridge_windows=profile.bridge_windows)) == text


@given(profiles(), st.integers(0, 200))
def test_a_lost_line_makes_no_group_free(profile: HostProfile, at: int) -> None:
    lines = write_profile(profile).splitlines(keepends=True)
    del lines[at % len(lines)]
    back = parse_profile("".join(lines).encode(), "host.yaml")
    assert all(found.regions or not found.whole for found in back.groups)


@pytest.mark.parametrize(
    "damage",
    [
        {"0": ""},
        {"0": MSI + HT[:20]},
        {"0": MSI + "0x0000000000001000 0x0000000000001fff novel\n"},
        {"0": MSI + "0x0000000000001000 0x0000000000000fff direct\n"},
        {"0": MSI + "0x0000000000005000 0x0000000000000fff direct\n"},
        {"0": "0x0000000000000000 0xffffffffffffffff direct\n"},
        {"0": MSI + "0x0000000000000000 0xffffffffffffffff direct-relaxable\n"},
        {"0": "", "1": ""},
        {},
    ],
)
def test_a_damaged_host_written_and_read_back_is_as_damaged(
    tmp_path: Path, damage: dict[str, str]
) -> None:
    files = {"class/": b""} | group(5, MSI) if damage else {"class/": b""}
    for id_, text in damage.items():
        files |= group(id_, text)
    profile = read_sysfs(make_tree(tmp_path / "host", files))
    text = write_profile(profile)
    back = parse_profile(text.encode(), "host.yaml")
    assert facts(back) == facts(profile)
    assert facts_sha256(back) == facts_sha256(profile)
    assert back.usable(Scope.HOST) == profile.usable(Scope.HOST)


def test_the_hash_of_facts_knows_no_drivers(tmp_path: Path) -> None:
    base = group(0, MSI, "0000:00:01.0")
    plain = read_sysfs(make_tree(tmp_path / "x" / "h", base))
    bound = read_sysfs(
        make_tree(tmp_path / "y" / "h", base | {"bus/pci/devices/0000:00:01.0/driver": "vfio-pci"})
    )
    assert bound.groups[0].devices[0].driver == "vfio-pci"
    assert facts_sha256(bound) == facts_sha256(plain)


def test_common_regions_are_written_once(tmp_path: Path) -> None:
    files = group(0, MSI) | group(1, MSI) | group(2, MSI + HT, "0000:01:00.0")
    text = write_profile(replace(read_sysfs(make_tree(tmp_path / "amd", files)), findings=()))
    assert (
        text
        == """\
# yaml-language-server: $schema=host-v1.json
schema: 1
host:
  name: amd
regions:
  - 0x00000000fee00000 0x00000000feefffff msi
groups:
  - id: "0"
    type: DMA-FQ
  - id: "1"
    type: DMA-FQ
  - id: "2"
    type: DMA-FQ
    devices: [{name: "0000:01:00.0"}]
    regions:
      - 0x00000000fee00000 0x00000000feefffff msi
      - 0x000000fd00000000 0x000000ffffffffff reserved
"""
    )


def by_hand(text: str) -> HostProfile:
    return parse_profile(text.encode(), "host.yaml")


def shown(profile: HostProfile) -> list[str]:
    return [f"{f.loc}: {f.code} {f.message}" for f in profile.findings]


def test_a_compact_profile_by_hand() -> None:
    profile = by_hand(
        """\
schema: 1
host: {name: small, iommu: amd, page-size: 4KiB, isolated-msi: true}
reserved: |
  0xfee00000 0xfeefffff msi
groups:
  - {ids: "0-2, 7"}
  - id: "9"
    devices: ["0000:29:00.0"]
    regions: ["0xfd00000000 0xffffffffff reserved"]
"""
    )
    assert shown(profile) == []
    assert [found.id for found in profile.groups] == ["0", "1", "2", "7", "9"]
    assert all(found.whole for found in profile.groups)
    assert profile.isolated_msi is True
    assert profile.page_bytes == 4096
    assert [str(span) for span in profile.usable(Scope.HOST)] == [
        "0x0-0xfedfffff",
        "0xfef00000-0xfcffffffff",
        "0x10000000000-0xffffffffffffffff",
    ]
    assert str(profile.groups[0].regions[0].origin) == "pasted dump (host.yaml:4:1)"
    assert "host.yaml:9:15" in str(profile.groups[4].regions[0].origin)


def test_a_paste_with_paths_makes_the_groups() -> None:
    profile = by_hand(
        """\
schema: 1
host: {name: pasted}
groups:
  - {id: "28", devices: ["0000:29:00.0"]}
reserved: |
  /sys/kernel/iommu_groups/28/reserved_regions:0xfee00000 0xfeefffff msi
  /sys/kernel/iommu_groups/27/reserved_regions:0xfee00000 0xfeefffff msi
"""
    )
    assert shown(profile) == []
    assert [found.id for found in profile.groups] == ["27", "28"]
    assert profile.groups[1].devices == (Device("0000:29:00.0"),)


def test_a_profile_without_host_is_named_after_its_file() -> None:
    profile = parse_profile(b'schema: 1\nregions: ["0xfee00000 0xfeefffff msi"]\n', "a/b.yaml")
    assert profile.name == "b"
    assert profile.findings == ()
    assert profile.groups[0].whole


def test_an_empty_host_is_said_once() -> None:
    profile = by_hand('schema: 1\nhost:\nregions: ["0xfee00000 0xfeefffff msi"]\n')
    assert shown(profile) == ["host.yaml:2:5: MM109 'host' has no value"]


def test_names_that_are_not_utf8_are_written_all_the_same(tmp_path: Path) -> None:
    tree = make_tree(tmp_path, group(0, MSI))
    (tree / "kernel/iommu_groups/0/devices").mkdir()
    os.mkdir(os.fsencode(tree / "kernel/iommu_groups/0/devices") + b"/dev\xff")  # noqa: PTH102
    text = write_profile(read_sysfs(tree))
    assert parse_profile(text.encode(), "h").groups[0].devices == (Device("dev?"),)


def test_regions_alone_stand_for_every_group() -> None:
    profile = by_hand('schema: 1\nhost: {name: x}\nregions: ["0xfee00000 0xfeefffff msi"]\n')
    assert [(found.id, found.whole) for found in profile.groups] == [("all", True)]


HEAD = "schema: 1\nhost: {name: x}\n"
ONE = HEAD + 'regions: ["0xfee00000 0xfeefffff msi"]\n'


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("schema: 2\n", "host.yaml:1:9: MM113 schema version '2' is not known here"),
        ("[]\n", "host.yaml:1:1: MM108 the file is a list where a mapping is expected"),
        (
            "words\n",
            "host.yaml:1:1: MM108 the file is the value 'words' where a mapping is expected",
        ),
        ("host: {name: x}\n", "host.yaml:1:1: MM107 the profile lacks 'schema'"),
        (HEAD, "host.yaml:1:1: MM107 the profile has neither groups nor reserved regions"),
        (ONE + "grups: []\n", "host.yaml:4:1: MM106 the profile has no key 'grups'"),
        (
            ONE + "groups: 3\n",
            "host.yaml:4:9: MM108 'groups' is the value '3' where a list is expected",
        ),
        (
            ONE + "groups: [3]\n",
            "host.yaml:4:10: MM108 'groups.0' is the value '3' where a mapping is expected",
        ),
        (ONE + "groups: [{type: DMA}]\n", "host.yaml:4:10: MM107 a group has no id"),
        (
            ONE + 'groups: [{id: "1", ids: "2"}]\n',
            "host.yaml:4:10: MM106 a group has both 'id' and 'ids'",
        ),
        (
            ONE + 'groups: [{ids: "5-2"}]\n',
            "host.yaml:4:16: MM110 '5-2' is not a list of group numbers",
        ),
        (
            ONE + 'groups: [{ids: "0-9999999"}]\n',
            "host.yaml:4:16: MM110 '0-9999999' is not a list of group numbers",
        ),
        (
            ONE + 'groups: [{ids: "a-b"}]\n',
            "host.yaml:4:16: MM110 'a-b' is not a list of group numbers",
        ),
        (
            ONE + 'groups: [{id: "1"}, {id: "1"}]\n',
            "host.yaml:4:21: MM105 group 1 stands twice",
        ),
        (
            ONE + 'groups: [{id: "1", whole: maybe}]\n',
            "host.yaml:4:27: MM111 'groups.0.whole' is 'maybe', which is none of its words",
        ),
        (
            ONE + 'groups: [{id: "1", devices: [{vendor: "0x10de"}]}]\n',
            "host.yaml:4:30: MM107 'groups.0.devices.0' lacks 'name'",
        ),
        (
            ONE + 'groups: [{id: "1", devices: [[]]}]\n',
            "host.yaml:4:30: MM108 'groups.0.devices.0' is a list where a mapping is expected",
        ),
        (
            ONE + 'groups: [{id: "1", type: [DMA]}]\n',
            "host.yaml:4:26: MM108 'groups.0.type' is a list where text is expected",
        ),
        (
            ONE.replace("name: x", "iommu: inte"),
            "host.yaml:2:15: MM111 'host.iommu' is 'inte', which is none of its words",
        ),
        (
            ONE.replace("name: x", "address-bits: 65"),
            "host.yaml:2:22: MM110 'host.address-bits' is '65', not a whole number from 1 to 64",
        ),
        (
            ONE.replace("name: x", "page-size: 5000"),
            (
                "host.yaml:2:19: MM110 'host.page-size' is not a page size: '5000' is no page size"
                " of Linux; pages have 4KiB, 16KiB or 64KiB"
            ),
        ),
        (
            ONE + "bridge-windows: [{name: a, base: 0x2000, last: 0x1fff}]\n",
            (
                "host.yaml:4:18: MM201 the window [0x2000-0x1fff] ends before it starts or leaves"
                " the address space"
            ),
        ),
        (
            ONE + "bridge-windows: [{name: a, last: 0x1fff}]\n",
            "host.yaml:4:18: MM107 'bridge-windows.0' lacks 'base'",
        ),
        (
            ONE + "bridge-windows: [7]\n",
            "host.yaml:4:18: MM108 'bridge-windows.0' is the value '7' where a mapping is expected",
        ),
        (
            ONE + "noticed: [{code: MM999, message: x}]\n",
            "host.yaml:4:18: MM111 'noticed.0.code' is 'MM999', which is none of its words",
        ),
        (
            ONE + "noticed: [x]\n",
            "host.yaml:4:11: MM108 'noticed.0' is the value 'x' where a mapping is expected",
        ),
    ],
)
def test_mistakes_are_findings_with_a_place_and_spoil_the_host(text: str, finding: str) -> None:
    profile = by_hand(text)
    assert finding in shown(profile)
    # A window is advice only: a wrong one leaves the groups as sure as they were.
    assert any(found.whole for found in profile.groups) is ("MM201" in finding)


@pytest.mark.parametrize(
    ("groups", "finding"),
    [
        (
            '[{id: "4"}]',
            "MM314 what group 4 reserves is not known: the profile gives no regions for it",
        ),
        (
            '[{id: "4", regions: []}]',
            (
                "MM303 reserved_regions of group 4 is empty, which does not mean that nothing is"
                " reserved"
            ),
        ),
        (
            '[{id: "4", whole: false, regions: ["0xfee00000 0xfeefffff msi"]}]',
            "MM314 what group 4 reserves is not known: the profile says so (whole: false)",
        ),
        (
            '[{id: "4", regions: ["0xfee00000-0xfeefffff msi"]}]',
            (
                "MM304 '0xfee00000-0xfeefffff msi' of group 4 is not two addresses and a word"
                " (reserved regions of group 4 (host.yaml:3:30))"
            ),
        ),
        (
            '[{id: "4", regions: [{base: 0xfee00000}]}]',
            (
                "MM108 'groups.0.regions.0' is a mapping where a line of reserved_regions is"
                " expected"
            ),
        ),
    ],
)
def test_what_is_not_known_of_a_group_is_never_usable(groups: str, finding: str) -> None:
    profile = by_hand(f"{HEAD}groups: {groups}\n")
    assert finding in [f"{f.code} {f.message}" for f in profile.findings]
    assert not profile.groups[0].whole
    assert not profile.usable(Scope.HOST)


def test_no_iommu_by_hand() -> None:
    profile = by_hand("schema: 1\nhost: {name: x, iommu: none}\ngroups: []\n")
    assert shown(profile) == [
        "host.yaml:1:1: MM307 the host has no IOMMU groups: it has no IOMMU, or the IOMMU is off"
    ]
    assert not profile.usable(Scope.HOST)


def test_text_that_is_no_yaml_names_the_host_after_the_file() -> None:
    profile = parse_profile(b"\xff\xfe", "there/some.yaml")
    assert profile.name == "some"
    assert [f.code for f in profile.findings] == ["MM102"]
    assert not profile.usable(Scope.HOST)


def test_the_hash_is_of_the_files_bytes(tmp_path: Path) -> None:
    file = tmp_path / "h.yaml"
    file.write_text(ONE, encoding="utf-8")
    assert read_host(file).sha256 == hashlib.sha256(ONE.encode()).hexdigest()


def test_a_file_that_cannot_be_a_profile() -> None:
    said = "/dev/zero cannot be read: it has more than 64 MiB"
    with pytest.raises(HostUnreadableError, match=said):
        read_host("/dev/zero")


@given(st.binary(max_size=200))
def test_no_bytes_raise(data: bytes) -> None:
    profile = read_profile_bytes(data, "host.yaml")
    assert all(found.regions or not found.whole for found in profile.groups)
    assert {finding.code for finding in profile.findings} <= set(CODES)


SHIPPED = sorted((ROOT / "layouts" / "hosts").glob("*.yaml"))
#: What is wrong with hosts whose facts are known to be so.
KNOWN_ERRORS = {"apm-xgene2": {"MM307"}, "jetson-xavier": {"MM314"}}


def test_profiles_are_shipped() -> None:
    assert len(SHIPPED) >= 20


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_profiles_are_read_without_a_word(path: Path) -> None:
    profile = read_host(path)
    found = {finding.code for finding in profile.findings}
    assert found == KNOWN_ERRORS.get(path.stem, set())
    assert bool(profile.usable(Scope.HOST)) is (path.stem not in KNOWN_ERRORS)
    assert profile.source
    text = path.read_text(encoding="utf-8")
    assert ("# Derived:" in text) is profile.derived
    assert profile.derived or "verbatim" in text


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_profiles_survive_being_written(path: Path) -> None:
    profile = read_host(path)
    back = parse_profile(write_profile(profile).encode(), "again.yaml")
    assert facts_sha256(back) == facts_sha256(profile)
