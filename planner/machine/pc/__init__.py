"""The PC boards ``q35`` and ``pc`` (i440FX)."""

from __future__ import annotations

from planner.machine.family import Family
from planner.machine.options import EVERY_MACHINE, Effect, OptionFact, facts
from planner.span import GIB, MIB

__all__ = ["FAMILIES", "I440FX", "Q35"]


def _options(below_4g: int, *more: dict[str, OptionFact]) -> dict[str, OptionFact]:
    """Return the options of a PC: hw/i386/pc.c ``pc_machine_class_init()``, hw/i386/x86.c.

    :param below_4g: what ``max-ram-below-4g`` becomes where it is not given, in bytes.
    """
    own = {
        **facts(Effect.MOVES, {"max-ram-below-4g": below_4g}),
        # cxl and sgx-epc: refused when on.
        **facts(Effect.MOVES, "acpi cxl hpet nvdimm sgx-epc"),
        **facts(
            Effect.NONE,
            "bus-lock-ratelimit default-bus-bypass-iommu i8042 pcspk-audiodev pflash0 pflash1 pic"
            " pit sata smbios-entry-point-type smbus smm vmport",
        ),
        **facts(Effect.NONE, "fd-bootchk", (9, 0)),
        **facts(Effect.UNKNOWN, "cxl-fmw max-fw-size"),
    }
    return {**EVERY_MACHINE, **own, **{name: fact for row in more for name, fact in row.items()}}


#: Two memory blocks of an x86 guest: see :attr:`Family.virtio_mem_extent`.
_EXTENT = 256 * MIB

Q35 = Family(
    name="q35",
    alias="q35",
    stem="pc-q35",
    targets=("x86_64", "i386"),
    ram="pc.ram",
    # 2.4 and older leave room below the PCI hole out (broken_reserved_end) or know no slots.
    oldest=(2, 5),
    cpu="qemu64",
    # hw/i386/pc_q35.c pc_q35_init(), QEMU 7.2; wdat: there in 11.1, not in 10.0.
    options=_options(4 * GIB, facts(Effect.NONE, "wdat", (10, 1))),
    # Q35_PCI_HOST_HOLE64_SIZE_DEFAULT, include/hw/pci-host/q35.h.
    bridge="q35-pcihost",
    bridge_path="/machine/q35",
    hole64_bytes=32 * GIB,
    virtio_mem_extent=_EXTENT,
)
I440FX = Family(
    name="pc",
    alias="pc",
    stem="pc-i440fx",
    targets=Q35.targets,
    default=True,
    ram=Q35.ram,
    oldest=Q35.oldest,
    cpu=Q35.cpu,
    # hw/i386/pc_piix.c pc_init1(), QEMU 7.2; x-south-bridge: there in 10.0, not in 7.2.
    options=_options(0xE000_0000, facts(Effect.UNKNOWN, "x-south-bridge", (8, 0))),
    # I440FX_PCI_HOST_HOLE64_SIZE_DEFAULT, include/hw/pci-host/i440fx.h.
    bridge="i440FX-pcihost",
    bridge_path="/machine/i440fx",
    hole64_bytes=2 * GIB,
    virtio_mem_extent=_EXTENT,
)
FAMILIES = {each.name: each for each in (Q35, I440FX)}
