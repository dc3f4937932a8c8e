"""Which ``-M`` options each machine type has, so that a misspelt one is found before QEMU is.

Names only: what moves the map, and how, the machine tables know. From ``-M TYPE,help`` of QEMU 7.2
and the class and instance properties added since (file and version beside each).
"""

from __future__ import annotations

__all__ = ["is_known", "known_options"]

#: hw/core/machine.c ``machine_class_init()`` and ``machine_initfn()``, 7.2; aux-ram-share is 10.0.
_EVERY_MACHINE = frozenset(
    [
        "accel",
        "append",
        "aux-ram-share",
        "boot",
        "confidential-guest-support",
        "dt-compatible",
        "dtb",
        "dump-guest-core",
        "dumpdtb",
        "firmware",
        "graphics",
        "hmat",
        "initrd",
        "kernel",
        "kernel-irqchip",
        "kvm-shadow-mem",
        "mem-merge",
        "memory",
        "memory-backend",
        "memory-encryption",
        "nvdimm",
        "nvdimm-persistence",
        "phandle-start",
        "smp",
        "suppress-vmdesc",
        "usb",
        "x-oem-id",
        "x-oem-table-id",
    ]
)
#: hw/arm/virt.c ``virt_machine_class_init()``: 7.2; compact-highmem, highmem-ecam, highmem-mmio
#: and highmem-redists 8.0; highmem-mmio-size 10.0; cxl 10.2; msi 11.0.
_VIRT = frozenset(
    [
        "acpi",
        "compact-highmem",
        "cxl",
        "cxl-fmw",
        "default-bus-bypass-iommu",
        "dtb-kaslr-seed",
        "dtb-randomness",
        "gic-version",
        "highmem",
        "highmem-ecam",
        "highmem-mmio",
        "highmem-mmio-size",
        "highmem-redists",
        "iommu",
        "its",
        "msi",
        "mte",
        "ras",
        "secure",
        "virtualization",
    ]
)
#: hw/i386/{x86,pc}.c class properties, 7.2; fd-bootchk 9.0.
_PC = frozenset(
    [
        "acpi",
        "bus-lock-ratelimit",
        "default-bus-bypass-iommu",
        "fd-bootchk",
        "hpet",
        "i8042",
        "max-fw-size",
        "max-ram-below-4g",
        "pic",
        "pit",
        "sata",
        "sgx-epc",
        "smbios-entry-point-type",
        "smbus",
        "smm",
        "vmport",
    ]
)
_BY_TYPE = {
    "virt": _EVERY_MACHINE | _VIRT,
    "q35": _EVERY_MACHINE | _PC | {"cxl", "cxl-fmw"},
    "pc": _EVERY_MACHINE | _PC,
}


#: Properties of devices that move the map; a layout writes them as ``-global`` does.
_GLOBALS = {
    "q35": frozenset(["q35-pcihost.pci-hole64-size"]),
    "pc": frozenset(["i440FX-pcihost.pci-hole64-size"]),
}


def known_options(machine_type: str) -> frozenset[str]:
    """Return the option names of a machine type, with the ``driver.property`` ones worth naming.

    Empty for ``custom``, which has none.
    """
    return _BY_TYPE.get(machine_type, frozenset()) | _GLOBALS.get(machine_type, frozenset())


def is_known(machine_type: str, name: str) -> bool:
    """Say whether a layout may write an option.

    Any ``driver.property`` may stand, as QEMU's ``-global`` takes any; the machine tables refuse
    those they do not know the meaning of.
    """
    return "." in name or name in known_options(machine_type)
