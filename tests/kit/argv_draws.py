"""Random QEMU command lines over everything the machine tables claim to know, and the comparison.

Used by the test (300 lines) and by ``scripts/fidelity`` (thousands, on every QEMU it finds).
"""

from __future__ import annotations

import random
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from planner.machine.request import MachineRefusedError, NotModelledError
from planner.machine.versions import QemuRelease, parse_version
from planner.region import GuestMap
from qmp_glue.argv import ArgvSource
from qmp_glue.errors import StartError

MIB, GIB, TIB = 1 << 20, 1 << 30, 1 << 40
FAMILIES = ("virt", "q35", "pc")
_BUS = {"virt": "pcie.0", "q35": "pcie.0", "pc": "pci.0"}

_ARM_CPUS = ["max", "cortex-a57", "cortex-a53", "cortex-a72", "neoverse-n1", "a64fx", "cortex-a15"]
_ARM_CPUS_10 = [*_ARM_CPUS, "cortex-a710", "neoverse-v1", "neoverse-n2", "cortex-a55"]
_X86_CPUS = [
    *("qemu64", "EPYC", "EPYC-Rome", "EPYC-Milan-v1", "max", "phenom", "Opteron_G5"),
    *("Skylake-Server", "Haswell-v2", "kvm64", "Icelake-Server-v3", "core2duo", "Dhyana"),
    *("qemu32", "pentium3", "486"),
]
_X86_32 = ("qemu32", "pentium3", "486")


def draw(
    rng: random.Random, family: str, program: str, qemu: QemuRelease, firmware: Path
) -> list[str]:
    """Return one command line for *program*."""
    words = [program]
    boot = _boot_bytes(rng)
    slots, most = _hotplug(rng, boot)
    memory = rng.choice([f"{boot >> 20}M", f"size={boot >> 20}M", f"{boot >> 20}"])
    if most:
        memory += f",slots={slots}" if slots or rng.random() < 0.3 else ""
        memory += f",maxmem={most >> 20}M"
    words += ["-m", memory]
    if family == "virt":
        words += _virt(rng, qemu, firmware)
    else:
        words += _pc(rng, family, qemu, firmware)
    if most:
        start = {"virt": 1 * GIB + boot, "q35": 4 * GIB + boot - 2 * GIB, "pc": GIB + boot}[family]
        words += _devices(rng, most - boot, start, _BUS[family])
    if rng.random() < 0.15:
        words += ["-device", rng.choice(["virtio-net-pci", "usb-ehci", "virtio-rng-pci"])]
    return words


def _boot_bytes(rng: random.Random) -> int:
    edges_mib = [2815, 2816, 2817, 3054, 3071, 3072, 3583, 3584, 3585]
    edges_gib = [2, 3, 4, 255, 256, 960, 980, 990, 1000, 1008, 1011, 1012, 1013, 1023]
    return rng.choice(
        [
            rng.randrange(128, 4096) * MIB,
            rng.randrange(1, 64) * GIB,
            rng.randrange(1, 300) * GIB + rng.choice([0, 0, 1, 512]) * MIB,
            rng.choice(edges_mib) * MIB,
            rng.choice(edges_gib) * GIB,
            rng.choice([512, 1024, 1536, 2048, 4096]) * GIB,
        ]
    )


def _hotplug(rng: random.Random, boot: int) -> tuple[int, int]:
    """Return slots and maxmem, 0 for none; now and then what QEMU refuses."""
    if rng.random() < 0.35:
        return 0, 0
    slots = rng.choice([1, 2, 4, 4, 8, 8, 8, 16, 32])
    if rng.random() < 0.1:
        slots = rng.choice([0, 128, 255, 256, 257])
    extra = rng.choice(
        [
            rng.randrange(1, 64) * GIB,
            rng.randrange(1, 64) * GIB,
            rng.randrange(1, 4096) * MIB,
            rng.randrange(1, 500) * GIB,
        ]
    )
    if rng.random() < 0.04:
        extra = rng.choice([0, -128 * MIB])
    return slots, boot + extra


def _on_off(rng: random.Random) -> str:
    return rng.choice(["on", "off"])


def _virt(rng: random.Random, qemu: QemuRelease, firmware: Path) -> list[str]:
    versions = ["virt"] * 4 + [
        "virt-7.2",
        "virt-7.1",
        "virt-7.0",
        "virt-6.2",
        "virt-6.1",
        "virt-5.2",
    ]
    if qemu < (11, 0):
        versions += ["virt-4.1", "virt-3.0", "virt-2.12", "virt-2.8"]
    if qemu >= (10, 0):
        versions += ["virt-8.0", "virt-9.0", "virt-9.2", "virt-10.0"]
    options = [rng.choice(versions)]
    _maybe(rng, options, 0.6, "gic-version", ["2", "3", "3", "3", "4", "max"])
    el2 = ["on"] if "gic-version=4" in options and rng.random() < 0.8 else ["on", "off"]
    _maybe(rng, options, 0.3 if len(el2) > 1 else 1, "virtualization", el2)
    _maybe(rng, options, 0.2, "its", ["on", "off"])
    _maybe(rng, options, 0.12, "highmem", ["on", "on", "off"])
    _maybe(rng, options, 0.2, "iommu", ["smmuv3", "none"])
    _maybe(rng, options, 0.1, "acpi", ["on", "on", "off", "auto"])
    _maybe(rng, options, 0.1, "nvdimm", ["on"])
    _maybe(rng, options, 0.08, "secure", ["on"])
    if qemu >= (8, 0):
        for name in ("highmem-ecam", "highmem-mmio", "highmem-redists", "compact-highmem"):
            _maybe(rng, options, 0.25, name, ["on", "off"])
    if qemu >= (10, 0):
        _maybe(
            rng, options, 0.2, "highmem-mmio-size", ["512G", "1T", "1T", "4T", "4T", "256G", "768G"]
        )
    if qemu >= (11, 0):
        _maybe(rng, options, 0.2, "msi", ["auto", "its", "gicv2m", "off"])
        _maybe(rng, options, 0.1, "virtio-mmio-transports", ["0", "1", "32"])
    words = [rng.choice(["-M", "-machine", "--machine"]), ",".join(options)]
    if rng.random() < 0.9:
        cpus = _ARM_CPUS_10 if qemu >= (10, 0) else _ARM_CPUS
        words += ["-cpu", rng.choice([*cpus, "max", "max", "max", "neoverse-n1"])]
    if rng.random() < 0.3:
        words += ["-smp", rng.choice(["2", "4", "8", "9", "cpus=2,maxcpus=12", "2,sockets=2"])]
    if rng.random() < 0.9:
        words += ["-bios", str(firmware)]
    if rng.random() < 0.2:
        words += ["-device", "pxb-pcie,id=pxb0,bus_nr=128"]
    return words


def _pc(rng: random.Random, family: str, qemu: QemuRelease, firmware: Path) -> list[str]:
    prefix = "pc-q35-" if family == "q35" else "pc-i440fx-"
    numbers = ["7.2", "7.1", "7.0", "6.2", "6.0", "5.2"]
    if qemu < (11, 0):
        numbers += ["4.2", "3.1", "2.12", "2.5"]
    if qemu >= (10, 0):
        numbers += ["8.0", "8.1", "8.2", "9.0", "9.2", "10.0"]
    options = [rng.choice([family, family, prefix + rng.choice(numbers)])]
    splits = ["1G", "2G", "3G", "2816M", "3054M", "4G", "512M", "0x60000000", "1536M"]
    splits += ["5G"] if rng.random() < 0.1 else []
    _maybe(rng, options, 0.4, "max-ram-below-4g", splits)
    _maybe(rng, options, 0.15, "hpet", ["on", "off"])
    _maybe(rng, options, 0.04, "acpi", ["on", "off"])
    _maybe(rng, options, 0.1, "smm", ["on", "off"])
    words = [rng.choice(["-M", "-machine"]), ",".join(options)]
    words += _x86_cpu(rng)
    if rng.random() < 0.4:
        bridge = "q35-pcihost" if family == "q35" else "i440FX-pcihost"
        size = rng.choice(["1T", "1T", "64G", "2G", "1G", "512G", "1536M", "8T"])
        words += ["-global", f"{bridge}.pci-hole64-size={size}"]
    if rng.random() < 0.2:
        words += ["-bios", str(firmware)]
    iommus = ["intel-iommu", "amd-iommu"] if family == "q35" or rng.random() < 0.1 else []
    if rng.random() < 0.15:
        words += ["-device", rng.choice([*iommus, f"virtio-iommu-pci,bus={_BUS[family]}"])]
    if rng.random() < 0.2:
        words += ["-device", f"{'pxb-pcie' if family == 'q35' else 'pxb'},id=pxb0,bus_nr=128"]
    if rng.random() < 0.3:
        words += ["-smp", rng.choice(["2", "4", "cpus=1,maxcpus=8"])]
    return words


def _x86_cpu(rng: random.Random) -> list[str]:
    if rng.random() < 0.15:
        return []
    cpu = rng.choice(_X86_CPUS)
    if rng.random() < 0.8 and cpu not in _X86_32:
        cpu += f",phys-bits={rng.choice([40, 42, 43, 46, 46, 48, 48, 52])}"
    elif rng.random() < 0.1:
        cpu += f",phys-bits={rng.choice([31, 36, 39, 53])}"
    if rng.random() < 0.2:
        cpu += f",vendor={rng.choice(['AuthenticAMD', 'GenuineIntel'])}"
    if rng.random() < 0.05:
        cpu += ",-lm"
    return ["-cpu", cpu]


def _maybe(
    rng: random.Random, options: list[str], chance: float, name: str, values: Sequence[str]
) -> None:
    if rng.random() < chance:
        options.append(f"{name}={rng.choice(values)}")


def _devices(rng: random.Random, room: int, above: int, bus: str) -> list[str]:
    """Return DIMMs and virtio-mem devices, placed or not, now and then badly."""
    words: list[str] = []
    for index in range(rng.choice([0, 1, 1, 2, 3, 4])):
        size = rng.choice(
            [
                rng.randrange(1, 64) * 128 * MIB,
                rng.randrange(1, 512) * 2 * MIB,
                max(room // 4 // (2 * MIB) * 2 * MIB, 2 * MIB),
            ]
        )
        if rng.random() < 0.04:
            size = 129 * MIB
        words += ["-object", f"memory-backend-ram,id=m{index},size={size >> 20}M"]
        driver = rng.choice([*(["pc-dimm"] * 7), *(["virtio-mem-pci"] * 2), "nvdimm"])
        device = f"{driver},memdev=m{index}"
        device += f",bus={bus}" if driver == "virtio-mem-pci" else ""
        if rng.random() < 0.8:
            device += f",id=d{index}"
        if rng.random() < 0.5:
            key = "memaddr" if driver == "virtio-mem-pci" else "addr"
            base = (above + GIB - 1) // GIB * GIB + rng.randrange(0, 12) * GIB // 2
            base += rng.choice([0, 0, 0, 2 * MIB, MIB])
            device += f",{key}={base:#x}"
        if driver == "pc-dimm" and rng.random() < 0.1:
            device += f",slot={rng.choice([0, 1, 3, 300])}"
        words += ["-device", device]
    return words


Facts = set[tuple[str, ...]]


def facts(found: GuestMap) -> Facts:
    """Return everything two maps must agree on."""
    regions: Facts = {
        ("region", str(item.span), item.name, item.kind.value, str(item.doorbell))
        for item in found.regions
    }
    return regions | {("window", str(item.span), item.name) for item in found.windows}


@dataclass(frozen=True)
class Verdict:
    """What came of one command line."""

    #: Whether QEMU made a map; otherwise it refused.
    mapped: bool
    #: What model and QEMU disagree about; empty when they agree.
    difference: str = ""
    #: Both refuse, but give different reasons: a line with several faults.
    other_words: str = ""


def compare(words: Sequence[str], qemu: str) -> Verdict:
    """Ask the model and QEMU about one command line."""
    source = ArgvSource.read(words)
    model: GuestMap | str
    real: GuestMap | str
    try:
        model = replace(source, model=True, qemu=qemu).read_map().map
    except MachineRefusedError as error:
        model = error.message
    except NotModelledError as error:
        return Verdict(mapped=False, difference=f"not modelled: {error}")
    try:
        real = source.read_map().map
    except StartError as error:
        real = " ".join(error.message.split())
    if isinstance(real, str):
        if not isinstance(model, str):
            return Verdict(mapped=False, difference=f"QEMU refuses, the model does not: {real}")
        other = "" if " ".join(model.split()) in real else f"QEMU: {real}; the model: {model}"
        return Verdict(mapped=False, other_words=other)
    if isinstance(model, str):
        return Verdict(mapped=True, difference=f"the model refuses, QEMU does not: {model}")
    only_real, only_model = facts(real) - facts(model), facts(model) - facts(real)
    if only_real or only_model:
        both = f"only QEMU: {sorted(only_real)}; only the model: {sorted(only_model)}"
        return Verdict(mapped=True, difference=both)
    return Verdict(mapped=True)


def version_of(program: str) -> str:
    """Return the version of a QEMU program, ``7.2.22``."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    text = said.stdout.split("version ", 1)[1].split()[0]
    parse_version(text)
    return text
