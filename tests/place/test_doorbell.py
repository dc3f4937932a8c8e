"""The doorbell rule, against a brute force that tries every window."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.strategies import make_host

from planner.host.profile import Scope
from planner.judge.forbidden import Binding, bind
from planner.place.doorbell import CEILING, Choice, Doorbell, Realiser, choose, pin_conflicts
from planner.region import GuestMap, Kind, Origin, Region, Window, WindowKind
from planner.span import GIB, MIB, Span, SpanSet

HERE = Origin("test")
WANTED = 0xFEE0_0000


def guest_map(
    *regions: tuple[Span, Kind, bool], windows: tuple[Span, ...] = (), machine: str = "custom"
) -> GuestMap:
    return GuestMap(
        "layout",
        machine,
        "",
        tuple(Region(s, f"r{i}", kind, HERE, own) for i, (s, kind, own) in enumerate(regions)),
        tuple(Window(s, f"w{i}", WindowKind.PCI_MMIO32, HERE) for i, s in enumerate(windows)),
    )


def binding(*hosts: list[tuple[Span, str]]) -> Binding:
    profiles = [make_host(f"host{i}", {"0": regions}) for i, regions in enumerate(hosts)]
    return bind(profiles, Scope.HOST, ())


def brute(guest: GuestMap, bound: Binding, size: int, prefer: int) -> tuple[str, int | None]:
    """Try every window, straight from the words of the rule."""

    def free(base: int) -> bool:
        window = Span.sized(base, size)
        if base % size or window.end > CEILING:
            return False
        if any(r.span.overlaps(window) and not r.doorbell for r in guest.regions):
            return False
        if any(w.span.overlaps(window) for w in guest.windows):
            return False
        return all(
            not entry.span.overlaps(window) or (entry.type == "msi" and entry.span.contains(window))
            for entry in bound.forbidden
        )

    if free(prefer):
        return "preferred", prefer
    for base in range(CEILING - size, -1, -size):
        if free(base):
            return "fallback", base
    return "none", None


def coarse(low: int, high: int) -> st.SearchStrategy[int]:
    return st.integers(low, high).map(lambda n: n * 32 * MIB)


@st.composite
def arrangements(draw: st.DrawFn) -> tuple[GuestMap, list[list[tuple[Span, str]]], int]:
    def a_span() -> Span:
        edge = draw(st.sampled_from([0, WANTED, WANTED + MIB, WANTED - MIB]))
        start = edge or draw(coarse(0, 120))
        size = draw(st.sampled_from([4096, MIB, 2 * MIB, 64 * MIB, GIB]))
        return Span.sized(start, size)

    regions = [
        (a_span(), draw(st.sampled_from(list(Kind))), draw(st.booleans()))
        for _ in range(draw(st.integers(0, 5)))
    ]
    hosts = [
        [
            (a_span(), draw(st.sampled_from(["msi", "reserved", "direct-relaxable", "odd"])))
            for _ in range(draw(st.integers(0, 3)))
        ]
        for _ in range(draw(st.integers(0, 3)))
    ]
    windows = tuple(a_span() for _ in range(draw(st.integers(0, 2))))
    return guest_map(*regions, windows=windows), hosts, draw(st.sampled_from([MIB, 2 * MIB]))


@given(arrangements())
def test_the_choice_is_the_one_a_brute_force_makes(
    case: tuple[GuestMap, list[list[tuple[Span, str]]], int],
) -> None:
    guest, hosts, size = case
    bound = binding(*hosts)
    chosen, findings = choose(guest, bound, prefer=WANTED, size=size)
    assert (chosen.choice.value, chosen.span.start if chosen.span else None) == brute(
        guest, bound, size, WANTED
    )
    assert any(f.code == "MM505" for f in findings) == (chosen.span is None)
    for order in list(permutations(hosts))[:6]:
        again, _ = choose(guest, binding(*order), prefer=WANTED, size=size)
        assert again.span == chosen.span
        assert again.choice == chosen.choice


AMD = [(Span.inclusive(0xFEE0_0000, 0xFEEF_FFFF), "msi")]
ARM = [(Span.inclusive(0x800_0000, 0x80F_FFFF), "msi")]
RAM_AT_1G = (Span.sized(GIB, 4 * GIB), Kind.RAM, False)


def decide(guest: GuestMap, *hosts: list[tuple[Span, str]]) -> Doorbell:
    return choose(guest, binding(*hosts), prefer=WANTED)[0]


def test_inside_the_hosts_own_msi_window_it_is_that_hosts_doorbell() -> None:
    chosen = decide(guest_map(machine="virt"), AMD)
    assert (chosen.span, chosen.choice) == (Span.sized(WANTED, MIB), Choice.PREFERRED)
    assert chosen.realised_by is Realiser.HOST
    assert "inside the host's own MSI window" in chosen.reason


def test_ram_over_the_wanted_window_sends_it_to_the_highest_free_one() -> None:
    chosen = decide(guest_map(RAM_AT_1G), ARM)
    assert (chosen.span, chosen.choice) == (Span(GIB - MIB, GIB), Choice.FALLBACK)
    assert chosen.reason == (
        "preferred [0xfee00000-0xfeefffff] is not free: r0 [0x40000000-0x13fffffff] of the guest;"
        " [0x3ff00000-0x3fffffff] is the highest free window below 4 GiB"
    )


def test_a_host_that_reserves_it_differently_forbids_it() -> None:
    chosen = decide(guest_map(), AMD, [(Span.sized(WANTED, 4096), "reserved")])
    assert chosen.choice is Choice.FALLBACK
    assert chosen.span == Span(0xFFF0_0000, 0x1_0000_0000)


def test_the_x86_machine_has_it_there_by_architecture() -> None:
    lapic = (Span.sized(WANTED, MIB), Kind.IO, True)
    assert decide(guest_map(lapic, machine="q35"), AMD).realised_by is Realiser.ARCHITECTURE


@pytest.mark.parametrize(
    ("guest", "realiser"),
    [
        (guest_map(machine="virt"), Realiser.VIRTIO_IOMMU),
        (
            guest_map((Span.sized(0x808_0000, 0x2_0000), Kind.IO, True), machine="virt"),
            Realiser.NOTHING,
        ),
        (guest_map(machine="custom"), Realiser.BOARD),
    ],
)
def test_who_can_realise_it_on_an_arm_host(guest: GuestMap, realiser: Realiser) -> None:
    chosen, findings = choose(guest, binding(ARM), prefer=WANTED)
    assert chosen.realised_by is realiser
    assert [f.code for f in findings] == (["MM507"] if realiser is Realiser.NOTHING else [])
    for finding in findings:
        assert finding.message == (
            "nothing moves the doorbell to [0xfee00000-0xfeefffff] today: the hosts have it at"
            " [0x8000000-0x80fffff], virt has its own at [0x8080000-0x809ffff]"
        )


def test_none_free_says_what_fills_the_space() -> None:
    guest = guest_map((Span(0, 5 * GIB), Kind.RAM, False))
    chosen, findings = choose(guest, binding(), prefer=WANTED)
    assert chosen.choice is Choice.NONE
    assert [f.message for f in findings] == [
        "no window of 1 MiB below 4 GiB is free for the doorbell: r0 [0x0-0x13fffffff] of the guest"
    ]


def test_a_pin_that_cannot_be_is_an_error_naming_what_is_there() -> None:
    guest = guest_map((Span.sized(0x900_0000, 4096), Kind.IO, False))
    chosen, findings = choose(guest, binding(ARM), prefer=WANTED, pin=0x900_0000)
    assert chosen.choice is Choice.NONE
    assert [f.code for f in findings] == ["MM506"]
    assert findings[0].message == (
        "the doorbell cannot be pinned at [0x9000000-0x90fffff]: r0 [0x9000000-0x9000fff] of the"
        " guest"
    )
    assert findings[0].help == "pin it at 0xfff00000, or leave the pin out"
    assert findings[0].overlap == Span.sized(0x900_0000, 4096)
    same = pin_conflicts(Span.sized(0x900_0000, MIB), guest, binding(ARM))
    assert [f.message for f in same] == [findings[0].message]


def test_a_pin_may_wait_for_ram_to_go_around_it() -> None:
    assert pin_conflicts(Span.sized(2 * GIB, MIB), guest_map(RAM_AT_1G), binding(ARM)) == []


def test_the_size_follows_what_the_hosts_doorbells_need() -> None:
    chosen, _ = choose(guest_map(), binding(ARM), prefer=WANTED, need_bytes=0x11_0000)
    assert chosen.span == Span.sized(WANTED, 2 * MIB)


def test_a_misaligned_or_too_high_preference_falls_back_with_words() -> None:
    odd, _ = choose(guest_map(), binding(), prefer=WANTED + 4096)
    assert odd.reason.startswith(
        "preferred [0xfee01000-0xfef00fff] is not free: 0xfee01000 is not aligned to the window's"
    )
    high, _ = choose(guest_map(), binding(), prefer=4 * GIB)
    assert "is not wholly below 4 GiB" in high.reason
    assert high.host_windows == SpanSet()
