"""Machines without tables: known by name, so that none is taken for another; a probe maps them.

Names of their boot RAM, ``default_ram_id``: hw/i386/microvm.c, hw/arm/sbsa-ref.c, hw/riscv/virt.c
and hw/loongarch/virt.c, QEMU 7.2.
"""

from __future__ import annotations

from planner.machine.family import Family

__all__ = ["FAMILIES"]


def _family(name: str, machine_type: str, ram: str, *targets: str) -> Family:
    return Family(name, alias=machine_type, stem=machine_type, targets=targets, ram=ram)


FAMILIES = {
    each.name: each
    for each in (
        _family("microvm", "microvm", "microvm.ram", "x86_64", "i386"),
        _family("sbsa-ref", "sbsa-ref", "sbsa-ref.ram", "aarch64"),
        _family("riscv-virt", "virt", "riscv_virt_board.ram", "riscv64", "riscv32"),
        _family("loongarch-virt", "virt", "loongarch.ram", "loongarch64"),
    )
}
