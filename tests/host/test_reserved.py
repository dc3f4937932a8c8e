"""Reading the text of reserved_regions files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.findings import Severity
from planner.host.profile import HostRegion
from planner.host.reserved import collapse_ids, merge, parse_reserved
from planner.region import Origin
from planner.span import Span

MSI = b"0x00000000fee00000 0x00000000feefffff msi\n"
HT = b"0x000000fd00000000 0x000000ffffffffff reserved\n"
HERE = Origin("here")
WORDS = ("direct", "direct-relaxable", "reserved", "msi", "novel")


def region(first: int, last: int, word: str = "reserved") -> HostRegion:
    return HostRegion(Span.inclusive(first, last), word, HERE)


def facts(regions: tuple[HostRegion, ...]) -> list[tuple[int, int, str]]:
    return [(r.span.start, r.span.last, r.type) for r in regions]


def test_a_dump_is_read_as_it_is() -> None:
    read = parse_reserved(MSI + HT, "kernel/iommu_groups/28/reserved_regions", ["28"])
    assert facts(read.regions) == [
        (0xFEE00000, 0xFEEFFFFF, "msi"),
        (0xFD00000000, 0xFFFFFFFFFF, "reserved"),
    ]
    assert read.whole
    assert read.findings == ()
    assert str(read.regions[1].origin) == "kernel/iommu_groups/28/reserved_regions line 2"


def test_neighbours_of_one_type_merge_as_on_hp_gen8() -> None:
    text = b"".join(
        b"0x%016x 0x%016x direct\n" % pair
        for pair in (
            (0xBDF83000, 0xBDF84FFF),
            (0xBDF7F000, 0xBDF82FFF),
            (0xBDF6F000, 0xBDF7EFFF),
            (0xBDF6E000, 0xBDF6EFFF),
        )
    )
    assert facts(parse_reserved(text).regions) == [(0xBDF6E000, 0xBDF84FFF, "direct")]


def test_types_never_merge_and_may_nest_as_on_honeycomb() -> None:
    nested = (
        region(0x1000000, 0x10FFFFFF, "direct-relaxable"),
        region(0x8000000, 0x80FFFFF, "msi"),
    )
    assert merge(nested) == nested


def test_types_at_one_address_come_in_the_kernels_order() -> None:
    every = [region(0x1000, 0x1FFF, word) for word in WORDS]
    assert [r.type for r in merge(reversed(every))] == list(WORDS)


def test_two_regions_to_the_end_of_the_address_space_are_one() -> None:
    last = 0xFFFF_FFFF_FFFF_FFFF
    assert facts(merge([region(0x1000, last), region(0x2000, last)])) == [
        (0x1000, last, "reserved")
    ]


def brute_merge(regions: list[HostRegion]) -> list[tuple[int, int, str]]:
    """Merge any two of one type that overlap or touch, until none is left."""
    left = [(r.span.start, r.span.end, r.type) for r in regions]
    while True:
        pair = next(
            (
                (a, b)
                for i, a in enumerate(left)
                for b in left[i + 1 :]
                if a[2] == b[2] and a[0] <= b[1] and b[0] <= a[1]
            ),
            None,
        )
        if pair is None:
            break
        left = [item for item in left if item not in pair]
        left.append((min(pair[0][0], pair[1][0]), max(pair[0][1], pair[1][1]), pair[0][2]))
    left.sort(key=lambda item: (item[0], WORDS.index(item[2])))
    return [(start, end - 1, word) for start, end, word in left]


REGIONS = st.lists(
    st.builds(
        lambda start, size, word: region(start, start + size, word),
        st.integers(0, 60),
        st.integers(0, 12),
        st.sampled_from(WORDS),
    ),
    max_size=12,
)


@given(REGIONS)
def test_merge_is_what_pairwise_merging_gives(regions: list[HostRegion]) -> None:
    unique = list({(r.span, r.type): r for r in regions}.values())
    assert facts(merge(regions)) == brute_merge(unique)


@given(REGIONS, st.randoms(use_true_random=False))
def test_merge_knows_no_order_and_is_final(regions: list[HostRegion], random: object) -> None:
    once = merge(regions)
    random.shuffle(regions)  # type: ignore[attr-defined]
    assert merge(regions) == once
    assert merge(once) == once


@given(REGIONS)
def test_what_is_printed_is_read_back(regions: list[HostRegion]) -> None:
    known = merge(r for r in regions if r.type != "novel")
    text = "".join(f"{r.span.start:#018x} {r.span.last:#018x} {r.type}\n" for r in known)
    read = parse_reserved(text.encode())
    assert facts(read.regions) == facts(known)
    assert read.whole == bool(known)


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        (
            MSI + HT[:30],
            "MM301",
            (
                "reserved_regions of group 5 was cut: its last line has no end:"
                " '0x000000fd00000000 0x000000fff'"
            ),
        ),
        (
            MSI + HT.rstrip(),
            "MM301",
            (
                "reserved_regions of group 5 was cut: its last line has no end:"
                " '0x000000fd00000000 0x000000ffffffffff reserved'"
            ),
        ),
        (
            MSI + b"0x000000fd00000000 0x000000ffffffffff reser\n",
            "MM301",
            (
                "reserved_regions of group 5 was cut: its last word is 'reser', the beginning of"
                " 'reserved'"
            ),
        ),
        (
            b"0x0000000000001000 0x0000000000001fff quarantine\n",
            "MM302",
            (
                "'quarantine' of [0x1000-0x1fff] of group 5 is a word no kernel is known to print"
                " (f line 1)"
            ),
        ),
        (
            b"",
            "MM303",
            "reserved_regions of group 5 is empty, which does not mean that nothing is reserved",
        ),
        (
            b"\n \n",
            "MM303",
            "reserved_regions of group 5 is empty, which does not mean that nothing is reserved",
        ),
        (
            b"fee00000-feefffff msi\n",
            "MM304",
            "'fee00000-feefffff msi' of group 5 is not two addresses and a word (f line 1)",
        ),
        (
            MSI + b"\x00\xff\xfe\n",
            "MM304",
            "'\\x00\\xff\\xfe' of group 5 is not two addresses and a word (f line 2)",
        ),
        (
            b"0x00000000000000000 0x00000000feefffff msi\n",
            "MM304",
            (
                "'0x00000000000000000 0x00000000feefffff msi' of group 5 is not two addresses and a"
                " word (f line 1)"
            ),
        ),
        (
            b"0x000000000000f000 0x0000000000000fff direct\n",
            "MM305",
            "direct region of group 5 starts at 0xf000 and ends before it, at 0xfff (f line 1)",
        ),
        (
            MSI + b"0x0000000000008000 0x0000000000007fff direct\n",
            "MM306",
            (
                "direct region of group 5 at 0x8000 has no bytes: its last byte is printed as"
                " 0x7fff (f line 2)"
            ),
        ),
        (
            b"0x0000000000000000 0xffffffffffffffff direct\n",
            "MM306",
            (
                "direct region of group 5 from 0x0 to 0xffffffffffffffff is either of no bytes or"
                " everything; the kernel prints both alike (f line 1)"
            ),
        ),
    ],
)
def test_each_anomaly_is_its_own_finding(text: bytes, code: str, message: str) -> None:
    findings = parse_reserved(text, "f", ["5"]).findings
    assert [f.message for f in findings if f.code == code] == [message]
    assert findings[0].parties[0].groups == ("5",)


@pytest.mark.parametrize(
    "text",
    [
        MSI + HT[:30],
        MSI + HT.rstrip(),
        MSI + b"0x000000fd00000000 0x000000ffffffffff reser\n",
        b"",
        b"nothing here\n",
        MSI + b"0x000000000000f000 0x0000000000000fff direct\n",
        b"0x0000000000008000 0x0000000000007fff direct\n",
        b"0x0000000000000000 0xffffffffffffffff reserved\n",
    ],
)
def test_what_is_not_the_truth_is_not_whole_and_says_why(text: bytes) -> None:
    read = parse_reserved(text)
    assert not read.whole
    assert any(finding.severity is Severity.ERROR for finding in read.findings)


def test_an_unknown_word_is_a_hole() -> None:
    read = parse_reserved(b"0x0000000000001000 0x0000000000001fff quarantine\n")
    assert read.whole
    assert [r.forbids for r in read.regions] == [True]


def test_a_relaxable_region_of_everything_forbids_nothing_either_way() -> None:
    read = parse_reserved(MSI + b"0x0000000000000000 0xffffffffffffffff direct-relaxable\n")
    assert read.whole
    assert [f.severity for f in read.findings] == [Severity.WARNING]


@pytest.mark.parametrize(("page", "pasted"), [(4096, 0), (16384, 0), (65536, 0), (4096, 1)])
def test_a_text_as_long_as_the_kernel_lets_it_be_is_cut(page: int, pasted: int) -> None:
    lines = (page - 1 + pasted) // len(MSI)
    text = MSI * (lines - 1)
    last = page - 1 + pasted - len(text)
    # Spaces within the last line bring it to the exact length.
    text += MSI[:18] + b" " * (last - len(MSI) + 1) + MSI[19:]
    assert len(text) == page - 1 + pasted
    read = parse_reserved(text, pasted=bool(pasted))
    assert not read.whole
    assert read.findings[0].message == (
        f"reserved_regions of the host was cut: it is {page - 1} bytes long, which is where the"
        f" kernel cuts on {page}-byte pages"
    )
    assert parse_reserved(text + b" \n", pasted=bool(pasted)).whole


def test_a_flood_of_bad_lines_is_counted() -> None:
    read = parse_reserved(b"bad\n" * 1000, groups=["1", "2", "3"])
    assert len(read.findings) == 21
    assert read.findings[-1].message == "980 more lines of groups 1-3 are wrong"


@given(st.binary(max_size=300))
def test_no_bytes_raise_and_none_read_as_nothing_reserved(data: bytes) -> None:
    read = parse_reserved(data)
    assert read.regions or not read.whole
    assert read.whole or read.findings


@pytest.mark.parametrize(
    ("ids", "text"),
    [
        ((), ""),
        (("7",), "7"),
        (("8", "7"), "7, 8"),
        (("2", "10", "1", "0"), "0-2, 10"),
        (("all", "3"), "3, all"),
    ],
)
def test_group_numbers_are_shown_shortly(ids: tuple[str, ...], text: str) -> None:
    assert collapse_ids(ids) == text


KERNEL_LINES = st.lists(
    st.builds(
        lambda first, last, word: f"{first:#018x} {last:#018x} {word}\n",
        st.sampled_from([0, 0x1000, 0x1800, 0x2000, 0xFEE00000]),
        st.sampled_from([0xFFF, 0x17FF, 0x1FFF, 0x2FFF, 0xFEEFFFFF, (1 << 64) - 1]),
        st.sampled_from(WORDS),
    ),
    min_size=1,
    max_size=6,
)


@given(KERNEL_LINES, st.sampled_from(["", "x", "\n", " "]))
def test_the_short_way_reads_what_the_line_reader_reads(lines: list[str], tail: str) -> None:
    """A space before the first line sends the text the long way and means nothing."""
    text = "".join(lines) + tail
    short, long = parse_reserved(text.encode()), parse_reserved(f" {text}".encode())
    assert short == long
