"""What an Arm ``-cpu`` model says about addresses.

Read from the programs themselves (QEMU 7.2.22, 10.0.2 and 11.1.2, TCG): the width that
``virt_set_memmap()`` names when it is asked for too much (target/arm/ptw.c ``arm_pamax()``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from planner.machine.options import split_cpu
from planner.machine.request import NotModelledError
from planner.machine.versions import OLDEST, QemuRelease, show_release
from planner.machine.virt import VIRT

__all__ = ["ArmCpu", "arm_cpu"]


@dataclass(frozen=True, slots=True)
class ArmCpu:
    """An Arm model that the virt board takes."""

    #: Physical address bits.
    pa_bits: int
    aarch64: bool = True
    #: First QEMU known to take it on the virt board.
    since: QemuRelease = OLDEST


_ARM: Mapping[str, ArmCpu] = {
    "a64fx": ArmCpu(40),
    "cortex-a7": ArmCpu(40, aarch64=False),
    "cortex-a15": ArmCpu(40, aarch64=False),
    "cortex-a35": ArmCpu(40),
    "cortex-a53": ArmCpu(40),
    "cortex-a55": ArmCpu(40, since=(10, 0)),
    "cortex-a57": ArmCpu(44),
    "cortex-a72": ArmCpu(44),
    "cortex-a76": ArmCpu(40),
    "cortex-a710": ArmCpu(40, since=(10, 0)),
    "max": ArmCpu(52),
    "neoverse-n1": ArmCpu(48),
    "neoverse-n2": ArmCpu(48, since=(10, 0)),
    "neoverse-v1": ArmCpu(48, since=(10, 0)),
}


def arm_cpu(text: str, qemu: QemuRelease) -> ArmCpu:
    """Return the facts of an Arm ``-cpu`` text; empty text is virt's default.

    :raise NotModelledError: the model is not in the table, or not for that QEMU.
    """
    name, features = split_cpu(text or VIRT.cpu)
    if features.get("aarch64", "on") not in {"on", "true", "yes"}:
        raise NotModelledError("a CPU with aarch64=off is not in the machine tables")
    found = _ARM.get(name)
    if found is None or qemu < found.since:
        shown = show_release(qemu)
        raise NotModelledError(f"CPU '{name}' on QEMU {shown} is not in the machine tables")
    return found
