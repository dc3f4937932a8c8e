"""The room MSI doorbells need, in numbers of known hosts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from planner.findings import Severity
from planner.host.doorbells import (
    capacity,
    doorbell_findings,
    window_size,
)
from planner.host.dump import parse_dump
from planner.host.profile import HostProfile
from planner.span import KIB, MIB, Span

SW = b"/sys/kernel/iommu_groups/3/reserved_regions:0x0000000008000000 0x00000000080fffff msi\n"
HW = b"/sys/kernel/iommu_groups/3/reserved_regions:0x00000000c6010000 0x00000000c601ffff msi\n"
NEXT = b"/sys/kernel/iommu_groups/3/reserved_regions:0x0000000008100000 0x000000000810ffff msi\n"
X86 = b"/sys/kernel/iommu_groups/3/reserved_regions:0x00000000fee00000 0x00000000feefffff msi\n"


def host(text: bytes, doorbells: int | None = None, page: int | None = None) -> HostProfile:
    return replace(parse_dump(text, "dump", "arm"), doorbells=doorbells, page_bytes=page)


@pytest.mark.parametrize(
    ("doorbells", "page", "size"),
    [
        (0, 4 * KIB, MIB),
        (8, 4 * KIB, MIB),
        (256, 4 * KIB, MIB),
        (257, 4 * KIB, 2 * MIB),
        (64, 16 * KIB, MIB),
        (16, 64 * KIB, MIB),
        (17, 64 * KIB, 2 * MIB),
    ],
)
def test_window_size(doorbells: int, page: int, size: int) -> None:
    assert window_size(doorbells, page) == size


def test_capacity_of_one_mebibyte() -> None:
    assert [capacity(MIB, page * KIB) for page in (4, 16, 64)] == [256, 64, 16]


def test_seventeen_doorbells_overflow_sixteen_pages() -> None:
    (finding,) = doorbell_findings(host(SW, 17, 64 * KIB))
    assert finding.code == "MM311"
    assert finding.severity is Severity.WARNING
    assert finding.message == (
        "17 doorbells need 1088 KiB in pages of 64 KiB, but the MSI window [0x8000000-0x80fffff] of"
        " group 3 on arm holds 16"
    )
    assert finding.overlap == Span.inclusive(0x8100000, 0x810FFFF)


def test_a_window_that_is_just_full_is_fine() -> None:
    assert doorbell_findings(host(SW, 16, 64 * KIB)) == []
    assert doorbell_findings(host(SW)) == []


def test_an_unknown_page_size_is_taken_for_the_largest() -> None:
    assert [f.code for f in doorbell_findings(host(SW, 17))] == ["MM311"]
    assert doorbell_findings(host(SW, 17), page_bytes=4 * KIB) == []


def test_iommufd_holds_sixty_four() -> None:
    (finding,) = doorbell_findings(host(SW, page=4 * KIB), doorbells=65)
    assert finding.severity is Severity.NOTE
    assert finding.message == (
        "65 doorbells are more than the 64 that one iommufd holds, though the MSI window"
        " [0x8000000-0x80fffff] of group 3 on arm has room for 256"
    )


def test_x86_has_nothing_to_compute() -> None:
    assert doorbell_findings(host(X86, 1000, 64 * KIB)) == []


def test_two_msi_kinds_as_on_hisilicon_d05() -> None:
    (finding,) = doorbell_findings(host(SW + HW))
    assert finding.code == "MM312"
    assert finding.message == (
        "group 3 on arm lists the software MSI window [0x8000000-0x80fffff] and the hardware MSI"
        " window [0xc6010000-0xc601ffff]"
    )


def test_two_msi_kinds_that_touch_are_still_two() -> None:
    assert [f.code for f in doorbell_findings(host(SW + NEXT))] == ["MM312"]
