"""Small spans, so that a brute force over every address stays cheap, and hosts made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hypothesis import strategies as st

from planner.host.profile import Device, Group, HostProfile, HostRegion
from planner.region import Origin
from planner.span import Span

TOP = 48


@st.composite
def spans(draw: st.DrawFn) -> Span:
    start = draw(st.integers(0, TOP - 1))
    return Span(start, draw(st.integers(start + 1, TOP)))


def make_host(
    name: str,
    groups: Mapping[str, Sequence[tuple[Span, str]]],
    *,
    devices: Mapping[str, Sequence[str]] | None = None,
    address_bits: int | None = None,
    kernel: str = "6.12.0",
    iommu: str = "",
) -> HostProfile:
    """Make a host from group id → (range, word) pairs."""
    members = devices or {}
    return HostProfile(
        name=name,
        kernel=kernel,
        iommu=iommu,
        address_bits=address_bits,
        groups=tuple(
            Group(
                id=number,
                type="DMA",
                devices=tuple(Device(device) for device in members.get(number, ())),
                regions=tuple(
                    sorted(HostRegion(span, word, Origin("test")) for span, word in regions)
                ),
            )
            for number, regions in groups.items()
        ),
    )
