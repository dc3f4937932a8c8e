"""The Arm ``virt`` board."""

from __future__ import annotations

from planner.machine.family import Family
from planner.machine.options import EVERY_MACHINE, Effect, facts
from planner.span import GIB

__all__ = ["FAMILIES", "VIRT"]

VIRT = Family(
    name="virt",
    alias="virt",
    stem="virt",
    targets=("aarch64", "arm"),
    ram="mach-virt.ram",
    oldest=(2, 8),
    cpu="cortex-a15",
    # hw/arm/virt.c virt_machine_class_init() and virt_instance_init(), QEMU 7.2 and 10.0; what 11.1
    # lists. compact-highmem's own value follows the machine's version.
    options={
        **EVERY_MACHINE,
        **facts(Effect.MOVES, {"gic-version": "", "highmem": True}),
        **facts(
            Effect.MOVES,
            {"highmem-ecam": True, "highmem-mmio": True, "highmem-redists": True},
            (8, 0),
        ),
        **facts(Effect.MOVES, "compact-highmem", (8, 0)),
        **facts(Effect.MOVES, {"highmem-mmio-size": 512 * GIB}, (10, 0)),
        **facts(Effect.MOVES, {"its": True}),
        **facts(Effect.MOVES, {"msi": "auto", "virtio-mmio-transports": None}, (11, 0)),
        **facts(
            Effect.MOVES,
            {
                "iommu": "none",
                "virtualization": False,
                "secure": False,
                "mte": False,
                "acpi": "auto",
                "nvdimm": None,
            },
        ),
        **facts(
            Effect.NONE,
            "default-bus-bypass-iommu dtb-kaslr-seed dtb-randomness pflash0 pflash1 ras",
        ),
        **facts(Effect.UNKNOWN, "cxl cxl-fmw", (10, 2)),
    },
    dimm_region="acpi-ged",
)
FAMILIES = {VIRT.name: VIRT}
