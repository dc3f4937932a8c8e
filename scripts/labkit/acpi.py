"""Replacement ACPI tables: QEMU's own, with regions that firmware wants mapped one to one.

Linux takes tables from an uncompressed archive before the initramfs
(Documentation/admin-guide/acpi/initrd_table_override.rst) when their OEM revision is above the
firmware's. Structures are written from the specifications: VT-d 8.4 (RMRR), AMD I/O Virtualization
5.2.2.4 (IVMD), Arm DEN0049 E.d (RMR nodes).

Port 3's device gets a region that is ``direct``, port 4's xHCI another, which Linux takes for
relaxable where the firmware's word or the device's class allows.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from labkit import LabError
from labkit.archive import Archive

__all__ = ["DIRECT", "RELAXABLE", "override"]

#: (base, size) of the two regions; outside the guest's RAM on q35, aligned for all three tables.
DIRECT = (0x7C000000, 0x100000)
RELAXABLE = (0x7D000000, 0x200000)
#: Bus 3 and bus 4, function 0: what the root ports of ports 3 and 4 lead to.
_DIRECT_ID, _RELAXABLE_ID = 3 << 8, 4 << 8


def override(tables: Mapping[str, bytes]) -> bytes:
    """Return the archive that replaces the *tables* of a firmware, by name, extended.

    :raise LabError: a table is not one the lab knows to extend.
    """
    makers = {"DMAR": _dmar, "IVRS": _ivrs, "IORT": _iort, "DSDT": _dsdt}
    archive = Archive()
    for name, table in sorted(tables.items()):
        if name not in makers or table[:4] != name.encode():
            raise LabError(f"the ACPI table {name} cannot be extended: it begins {table[:4]!r}")
        archive.file(f"kernel/firmware/acpi/{name}.aml", _seal(makers[name](table)))
    return archive.finish()


def _seal(table: bytes) -> bytes:
    """Set length, OEM revision and checksum of the header."""
    body = bytearray(table)
    struct.pack_into("<I", body, 4, len(body))
    revision = struct.unpack_from("<I", body, 24)[0]
    struct.pack_into("<I", body, 24, revision + 1)
    body[9] = 0
    body[9] = -sum(body) & 0xFF
    return bytes(body)


def _dmar(table: bytes) -> bytes:
    """Append an RMRR for each device, scoped by its path: root port's slot, then 00.0."""
    return table + _rmrr(DIRECT, 4) + _rmrr(RELAXABLE, 5)


def _rmrr(region: tuple[int, int], slot: int) -> bytes:
    base, size = region
    scope = struct.pack("<BBHBBBBBB", 1, 10, 0, 0, 0, slot, 0, 0, 0)
    return struct.pack("<HHHHQQ", 1, 24 + len(scope), 0, 0, base, base + size - 1) + scope


def _ivrs(table: bytes) -> bytes:
    """Append an IVMD for each device: a unity map (readable, writable) and an exclusion range."""
    return table + _ivmd(DIRECT, _DIRECT_ID, 0b0111) + _ivmd(RELAXABLE, _RELAXABLE_ID, 0b1000)


def _ivmd(region: tuple[int, int], device: int, flags: int) -> bytes:
    return struct.pack("<BBHHHQQQ", 0x21, flags, 32, device, 0, 0, *region)


def _iort(table: bytes) -> bytes:
    """Append an RMR node for each device; the second permits remapping."""
    count, offset = struct.unpack_from("<II", table, 36)
    smmu = _find_smmu(table, count, offset)
    nodes = _rmr(DIRECT, _DIRECT_ID, 0, smmu, count) + _rmr(
        RELAXABLE, _RELAXABLE_ID, 1, smmu, count + 1
    )
    body = bytearray(table + nodes)
    struct.pack_into("<I", body, 36, count + 2)
    # RMR nodes came with revision 5 (E.d); Linux looks for none in an older table.
    body[8] = 5
    return bytes(body)


def _find_smmu(table: bytes, count: int, offset: int) -> int:
    for _ in range(count):
        kind, length = struct.unpack_from("<BH", table, offset)
        if kind == 4:  # SMMUv3
            return offset
        offset += length
    raise LabError("the firmware's IORT has no SMMUv3 node")


def _rmr(region: tuple[int, int], stream: int, flags: int, smmu: int, number: int) -> bytes:
    # Header 16, node data 12, one memory range 20, one ID mapping 20.
    header = struct.pack("<BHBIII", 6, 68, 3, number, 1, 48)
    data = struct.pack("<III", flags, 1, 28)
    described = struct.pack("<QQI", *region, 0)
    # Two IDs, because kernels before 6.5 skip a mapping whose count (less one) is 0.
    mapping = struct.pack("<IIIII", 0, 1, stream, smmu, 0)
    return header + data + described + mapping


def _dsdt(table: bytes) -> bytes:
    """Have the host bridge's _DSM answer 0 to function 5: "preserve the boot configuration".

    Linux heeds RMR nodes of PCI devices only then, as a bus number may change otherwise. QEMU's
    method has function 0 only, and returns an empty Buffer for others: function 5 is added to the
    bits of the first answer, and an Integer 0 and no-ops take the place of the second.
    """
    was = bytes.fromhex("a4 11 03 01 01  a4 11 03 01 00")
    becomes = bytes.fromhex("a4 11 03 01 21  a4 00 a3 a3 a3")
    if was not in table:
        raise LabError("the firmware's DSDT has no _DSM that answers function 0 only")
    return table.replace(was, becomes)
