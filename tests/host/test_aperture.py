"""Address bits from VT-d capability registers of real hosts."""

from __future__ import annotations

import pytest

from planner.host.aperture import host_address_width, intel_address_bits


@pytest.mark.parametrize(
    ("cap", "ecap", "bits"),
    [
        # Acer with Raptor Lake, both units.
        (0x1C0000C40660462, 0x29A00F0505E, 39),
        (0xD2008C40660462, 0xF050DA, 39),
        # Haswell, both units.
        (0xC0000020660462, 0xF0101A, 39),
        (0xD2008020660462, 0xF010DA, 39),
        # High-end desktop whose host address width is 46; HP Gen8.
        (0x8D2008C10EF0466, 0xF0205B, 48),
        (0xD2078C106F0462, 0xF020DE, 48),
        # Five levels are walked but the guest width is 48; then all 57.
        (0x2F << 16 | 0xC << 8, 0, 48),
        (0x38 << 16 | 0xC << 8, 0, 57),
        # Scalable mode with first-stage tables: one bit less, to be sure.
        (0x2F << 16 | 4 << 8, 1 << 43 | 1 << 47, 47),
        (0x38 << 16 | 8 << 8, 1 << 43 | 1 << 47, 56),
        (0x2F << 16 | 4 << 8, 1 << 43, 48),
        (0x26 << 16 | 2 << 8, 1 << 43 | 1 << 47, 39),
        # A unit that says it walks no table at all.
        (0x2F << 16, 0, None),
    ],
)
def test_width_of_a_unit(cap: int, ecap: int, bits: int | None) -> None:
    assert intel_address_bits(cap, ecap) == bits


def test_width_of_a_host_is_its_narrowest_unit() -> None:
    assert host_address_width({"dmar0": 48, "dmar1": 39, "dmar2": None}) == 39
    assert host_address_width({"ivhd0": None}) is None
    assert host_address_width({}) is None
