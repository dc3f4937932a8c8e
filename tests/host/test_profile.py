"""The host profile's own judgement: what is usable, for whom."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from planner.host.profile import BridgeWindow, Device, Group, HostProfile, HostRegion, Scope
from planner.host.reserved import merge
from planner.region import Origin
from planner.span import Span, SpanSet

HERE = Origin("here")
BITS = 6
TYPES = ("direct", "direct-relaxable", "reserved", "msi", "novel")


@st.composite
def hosts(draw: st.DrawFn) -> HostProfile:
    groups = []
    for id_ in range(draw(st.integers(1, 4))):
        pairs = draw(
            st.lists(
                st.tuples(st.integers(0, 80), st.integers(1, 20), st.sampled_from(TYPES)),
                max_size=4,
            )
        )
        regions = merge(HostRegion(Span.sized(a, size), word, HERE) for a, size, word in pairs)
        bits = draw(st.sampled_from([None, None, 5, 7]))
        whole = draw(st.sampled_from([True, True, True, False]))
        groups.append(Group(str(id_), "DMA", (Device(f"dev{id_}"),), regions, whole, bits))
    kernel = draw(st.sampled_from(["", "5.10.0", "6.6.0"]))
    iommu = draw(st.sampled_from(["intel", "amd"]))
    return HostProfile("h", kernel, iommu, BITS, tuple(groups))


def bytes_left(host: HostProfile, groups: list[Group]) -> set[int]:
    """Count out every byte that all *groups* leave."""
    left = set(range(1 << min((g.address_bits or BITS for g in groups), default=BITS)))
    for group in groups:
        for region in group.regions:
            if region.type != "direct-relaxable":
                left -= set(range(region.span.start, region.span.end))
        if not group.whole:
            left = set()
    return left


def refused(host: HostProfile, group: Group) -> bool:
    old = host.kernel == "5.10.0" and host.iommu == "amd"
    return not old and any(region.type == "direct" for region in group.regions)


@given(hosts(), st.sets(st.integers(0, 3)))
def test_usable_is_what_counting_bytes_leaves(host: HostProfile, numbers: set[int]) -> None:
    devices = [f"dev{number}" for number in numbers if number < len(host.groups)]
    named = [group for group in host.groups if group.devices[0].name in devices]
    every = [group for group in host.groups if not refused(host, group)]
    for scope, groups in ((Scope.ASSIGNED, named), (Scope.HOST, every)):
        usable = host.usable(scope, devices)
        expected = bytes_left(host, groups)
        if scope is Scope.ASSIGNED and any(refused(host, group) for group in named):
            expected = set()
        assert {at for span in usable for at in range(span.start, span.end)} == expected


@given(hosts())
def test_a_group_alone_leaves_what_it_leaves_in_scope(host: HostProfile) -> None:
    for group in host.groups:
        alone = host.usable(Scope.ASSIGNED, [group.devices[0].name])
        assert alone == (
            SpanSet() if refused(host, group) else group.usable(host.aperture_of([group]))
        )


def test_nothing_is_usable_for_a_device_that_is_nowhere() -> None:
    msi = HostRegion(Span.inclusive(0xFEE00000, 0xFEEFFFFF), "msi", HERE)
    host = HostProfile("h", "", "amd", 48, (Group("0", "DMA", (), (msi,)),))
    assert not host.usable(Scope.ASSIGNED, ["0000:29:00.0"])
    assert host.usable(Scope.HOST, ["0000:29:00.0"])
    assert host.usable(Scope.ASSIGNED)[-1].end == 1 << 48


def test_bus_addresses_are_what_aliases() -> None:
    cpu, bus = (
        Span.inclusive(0x600040000000, 0x6000BFFFFFFF),
        Span.inclusive(0x40000000, 0xBFFFFFFF),
    )
    assert BridgeWindow(cpu, "PCI Bus 0000:00", HERE, bus).aliases == bus
    assert BridgeWindow(cpu, "PCI Bus 0000:00", HERE).aliases == cpu
