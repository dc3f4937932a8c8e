"""Layouts and hosts in a line each, and the plan of a layout given as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from kit import ROOT
from kit.strategies import make_host
from planner.documents.plan import plan_json
from planner.host.profile import HostProfile
from planner.host.read import read_host, read_profile_bytes
from planner.layout.load import load
from planner.place.plan import Plan, make_plan
from planner.span import MIB, Span

VIRT = 'machine: {type: virt, version: "7.2", cpu: max}'
Q35 = 'machine: {type: q35, version: "7.2", cpu: "qemu64,vendor=GenuineIntel,phys-bits=46"}'
ARM_MSI = (Span.sized(0x800_0000, MIB), "msi")
X86_MSI = (Span.sized(0xFEE0_0000, MIB), "msi")
HT = (Span.inclusive(0xFD_0000_0000, 0xFF_FFFF_FFFF), "reserved")


def arm(name: str = "arm", *more: tuple[Span, str], **facts: object) -> HostProfile:
    host = make_host(name, {"0": [ARM_MSI, *more]}, devices={"0": ["0000:01:00.0"]})
    return replace(host, iommu="smmuv3", **facts)  # type: ignore[arg-type]  # fields of a profile


def x86(name: str = "x86", *more: tuple[Span, str], **facts: object) -> HostProfile:
    host = make_host(name, {"7": [X86_MSI, *more]}, devices={"7": ["0000:01:00.0"]})
    return replace(host, iommu="intel", **facts)  # type: ignore[arg-type]  # fields of a profile


def layout(machine: str, memory: str, *rest: str) -> str:
    return "\n".join(["schema: 1", "name: case", machine, f"memory: {{{memory}}}", *rest, ""])


def plan_of_text(text: str, hosts: Sequence[HostProfile] | None = None) -> Plan:
    layout, findings = load(text.encode(), "layouts/case.yaml")
    assert layout is not None, findings
    if hosts is None:
        hosts = [read_host(ROOT / "layouts" / name) for name in layout.hosts]
    return make_plan(layout, hosts, {})


def plan_text_of(text: str, hosts: Sequence[HostProfile] | None = None) -> dict[str, Any]:
    return plan_json(plan_of_text(text, hosts))


def shipped(name: str) -> HostProfile:
    file = f"layouts/hosts/{name}.yaml"
    return read_profile_bytes((ROOT / file).read_bytes(), file)
