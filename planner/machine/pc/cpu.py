"""What an x86 ``-cpu`` model says about addresses: width, vendor, 64-bit mode.

Read from the programs themselves (QEMU 7.2.22, 10.0.2 and 11.1.2, TCG): the properties that
``query-cpu-model-expansion`` reports (target/i386/cpu.c ``builtin_x86_defs[]``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from planner.machine.options import qemu_bool, split_cpu
from planner.machine.pc import Q35
from planner.machine.request import MachineRefusedError, MachineRequest, NotModelledError
from planner.machine.versions import QemuRelease

__all__ = ["AMD", "X86Cpu", "x86_cpu"]

#: ``CPUID_VENDOR_AMD``, target/i386/cpu.h; ``IS_AMD_CPU()`` compares with it alone.
AMD = "AuthenticAMD"
_INTEL, _HYGON, _CENTAUR = "GenuineIntel", "HygonGenuine", "CentaurHauls"
#: ``TCG_PHYS_ADDR_BITS`` and ``TARGET_PHYS_ADDR_SPACE_BITS``, target/i386/cpu.h and cpu-param.h.
_DEFAULT_PHYS_BITS, _MAX_PHYS_BITS = 40, 52


@dataclass(frozen=True, slots=True)
class X86Cpu:
    """An x86 CPU as the board sees it."""

    vendor: str
    #: 64-bit mode, CPUID_EXT2_LM.
    long_mode: bool
    phys_bits: int
    #: Whether it has a local APIC, and so a doorbell.
    apic: bool = True


@dataclass(frozen=True, slots=True)
class _Model:
    vendor: str
    long_mode: bool = True
    pae: bool = True
    pse36: bool = True
    apic: bool = True


#: CPUID flags that decide something here, and the fields of :class:`_Model` with their defaults.
_FLAGS = (("lm", "long_mode"), ("pae", "pae"), ("pse36", "pse36"), ("apic", "apic"))


def _models() -> dict[str, _Model]:
    intel64 = (
        "Broadwell Broadwell-IBRS Broadwell-noTSX Broadwell-noTSX-IBRS Cascadelake-Server"
        " Cascadelake-Server-noTSX ClearwaterForest Conroe Cooperlake Denverton DiamondRapids"
        " GraniteRapids Haswell Haswell-IBRS Haswell-noTSX Haswell-noTSX-IBRS Icelake-Server"
        " Icelake-Server-noTSX IvyBridge IvyBridge-IBRS KnightsMill Nehalem Nehalem-IBRS Penryn"
        " SandyBridge SandyBridge-IBRS SapphireRapids SierraForest Skylake-Client"
        " Skylake-Client-IBRS Skylake-Client-noTSX-IBRS Skylake-Server Skylake-Server-IBRS"
        " Skylake-Server-noTSX-IBRS Snowridge Westmere Westmere-IBRS core2duo kvm64"
    )
    amd64 = (
        "EPYC EPYC-Genoa EPYC-IBPB EPYC-Milan EPYC-Rome EPYC-Turin Opteron_G1 Opteron_G2"
        " Opteron_G3 Opteron_G4 Opteron_G5 max phenom qemu64"
    )
    table = dict.fromkeys(intel64.split(), _Model(_INTEL))
    table |= dict.fromkeys(amd64.split(), _Model(AMD))
    table["Dhyana"] = _Model(_HYGON)
    table["YongFeng"] = _Model(_CENTAUR)
    table["athlon"] = _Model(AMD, long_mode=False)
    table |= dict.fromkeys(("kvm32", "pentium2", "pentium3"), _Model(_INTEL, long_mode=False))
    no_pse36 = _Model(_INTEL, long_mode=False, pse36=False)
    table |= dict.fromkeys(("coreduo", "n270", "qemu32"), no_pse36)
    table["pentium"] = _Model(_INTEL, long_mode=False, pae=False, pse36=False)
    table["486"] = _Model(_INTEL, long_mode=False, pae=False, pse36=False, apic=False)
    return table


_X86 = _models()


def x86_cpu(request: MachineRequest, qemu: QemuRelease) -> X86Cpu:
    """Return the facts of an x86 ``-cpu`` text; empty text is the PC's default, qemu64.

    :raise MachineRefusedError: QEMU would refuse the width.
    :raise NotModelledError: the model is not in the table, or only the host knows.
    """
    name, features = split_cpu(request.cpu or Q35.cpu)
    model = _x86_model(name, request, features)
    vendor = features.get("vendor", model.vendor)
    if request.accel == "kvm" and "vendor" not in features:
        raise NotModelledError(
            "under KVM the guest CPU has the host's vendor, which decides the map around 1 TiB;"
            " add vendor=AuthenticAMD or vendor=GenuineIntel to -cpu"
        )
    flags = {
        flag: qemu_bool(flag, features[flag]) if flag in features else getattr(model, attribute)
        for flag, attribute in _FLAGS
    }
    asked = _phys_bits(request, features)
    if flags["lm"]:
        _check_width(asked, qemu)
        return X86Cpu(
            vendor, long_mode=True, phys_bits=asked or _DEFAULT_PHYS_BITS, apic=flags["apic"]
        )
    if asked:
        raise MachineRefusedError(
            "phys-bits is not user-configurable in 32 bit",
            "leave phys-bits out or choose a 64-bit CPU",
        )
    # PAE counts since QEMU 8.2 or later (10.0 has it); 7.2 asks for PSE36 alone.
    wide = flags["pse36"] or (qemu >= (8, 2) and flags["pae"])
    return X86Cpu(vendor, long_mode=False, phys_bits=36 if wide else 32, apic=flags["apic"])


def _x86_model(name: str, request: MachineRequest, features: Mapping[str, str]) -> _Model:
    if name == "host":
        if request.accel != "kvm":
            raise MachineRefusedError(
                "CPU model 'host' requires KVM or HVF", "add -accel kvm or choose another CPU"
            )
        return _Model(features.get("vendor", ""))
    base = re.sub(r"-v\d+\Z", "", name)
    if base not in _X86:
        raise NotModelledError(f"CPU '{name}' is not in the machine tables")
    return _X86[base]


def _check_width(asked: int, qemu: QemuRelease) -> None:
    """Check ``phys-bits``; 11.1 knows no upper bound, and wraps from 64 on."""
    if qemu >= (11, 0):
        if asked > 63:
            raise NotModelledError(f"phys-bits={asked} is past a 64-bit address")
        words = "phys-bits should be at least 32 (but is {})"
        most = 63
    else:
        words = f"phys-bits should be between 32 and {_MAX_PHYS_BITS}  (but is {{}})"
        most = _MAX_PHYS_BITS
    if asked and not 32 <= asked <= most:
        raise MachineRefusedError(
            words.format(asked), f"use phys-bits={min(max(asked, 32), _MAX_PHYS_BITS)}"
        )


def _phys_bits(request: MachineRequest, features: Mapping[str, str]) -> int:
    """Return the width asked for, 0 when it is left to QEMU."""
    text = features.get("phys-bits", "0")
    if not text.isdecimal():
        raise MachineRefusedError(f"Parameter 'phys-bits' expects uint32_t, got '{text}'")
    asked = int(text)
    if request.accel != "kvm":
        return asked
    # host-cpu.c host_cpu_adjust_phys_bits(): only KVM looks at the host.
    from_host = request.cpu.split(",")[0] == "host" and not asked
    if from_host or qemu_bool("host-phys-bits", features.get("host-phys-bits", "off")):
        if request.address_bits is None:
            raise NotModelledError(
                "the CPU takes the host's physical address bits, which are not known here"
            )
        limit = int(features.get("host-phys-bits-limit", "0") or "0")
        return min(request.address_bits, limit or request.address_bits)
    return asked
