"""How many address bits an IOMMU translates, from the registers that sysfs shows.

Only VT-d units show theirs (``/sys/class/iommu/dmar*/intel-iommu/cap``). AMD, Arm and virtio units
show nothing of the kind; their width must be given.
"""

from __future__ import annotations

__all__ = ["host_address_width", "intel_address_bits"]

#: SAGAW bit → address bits of that page table depth (VT-d specification, Capability Register).
_SAGAW_BITS = ((3, 57), (2, 48), (1, 39))
_ECAP_SCALABLE_MODE = 1 << 43
_ECAP_FIRST_STAGE = 1 << 47


def intel_address_bits(cap: int, ecap: int = 0) -> int | None:
    """Return the address bits that a VT-d unit is sure to translate, None when it says none.

    The deepest page table the unit walks (SAGAW, bits 12:8), capped by its maximum guest address
    width (MGAW, bits 21:16, plus one): ``compute_vasz_lg2_ss()`` in drivers/iommu/intel/iommu.c,
    7.2. In scalable mode Linux prefers first-stage tables, whose addresses are signed: one bit
    less. Whether that mode is on is not to be seen in sysfs, so a unit that has both scalable mode
    and first-stage tables is taken for the narrower.

    >>> intel_address_bits(0x1c0000c40660462), intel_address_bits(0x8d2078c106f0466)
    (39, 48)

    :param cap: Capability Register, as ``intel-iommu/cap`` prints it.
    :param ecap: Extended Capability Register, ``intel-iommu/ecap``; 0 when not known.
    """
    sagaw = cap >> 8 & 0x1F
    widest = next((bits for bit, bits in _SAGAW_BITS if sagaw >> bit & 1), None)
    if widest is None:
        return None
    bits = min(widest, (cap >> 16 & 0x3F) + 1)
    if ecap & _ECAP_SCALABLE_MODE and ecap & _ECAP_FIRST_STAGE and bits > 39:
        bits -= 1
    return bits


def host_address_width(units: dict[str, int | None]) -> int | None:
    """Return the width that holds behind every unit: the least known, None when none is known."""
    return min((bits for bits in units.values() if bits is not None), default=None)
