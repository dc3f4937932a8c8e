"""Every finding a plan can make, with its words, as golden files."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from kit import Golden
from kit.plan_cases import HT, Q35, VIRT, X86_MSI, arm, layout, plan_of_text, shipped, x86
from kit.strategies import make_host

from planner.draw.diagnostic import render
from planner.host.profile import BridgeWindow, HostProfile
from planner.host.read import read_profile_bytes
from planner.place.plan import Plan
from planner.region import Origin
from planner.span import GIB, MIB, Span

NO_IOMMU = read_profile_bytes(
    b"schema: 1\nhost: {name: bare, iommu: none}\ngroups: []\n", "layouts/hosts/bare.yaml"
)

CUSTOM = "\n".join(
    [
        "regions:",
        "  - {name: low, kind: ram, base: 0x40000000, size: 1GiB}",
        "  - {name: uart, kind: mmio, base: 0x09000000, size: 4KiB}",
    ]
)


@dataclass(frozen=True)
class Case:
    code: str
    layout: str
    hosts: tuple[HostProfile, ...]


CASES = {
    "memory-moved": Case("MM504", layout(VIRT, "size: 4GiB"), (x86(),)),
    "bar-window-in-reserved": Case("MM404", layout(VIRT, "size: 1GiB"), (x86("amd", HT),)),
    "bar-window-beyond-aperture": Case(
        "MM405", layout(VIRT, "size: 1GiB"), (arm(address_bits=39),)
    ),
    "phys-bits-beyond-aperture": Case("MM412", layout(Q35, "size: 1GiB"), (x86(address_bits=39),)),
    "beyond-aperture": Case("MM501", layout(Q35, "size: 1TiB"), (x86(address_bits=39),)),
    "bridge-window-aliased": Case(
        "MM406",
        layout(VIRT, "size: 1GiB"),
        (
            arm(
                bridge_windows=(
                    BridgeWindow(Span.sized(GIB, 256 * MIB), "PCI Bus 000c:00", Origin("iomem")),
                )
            ),
        ),
    ),
    "device-unassignable": Case(
        "MM403",
        layout(Q35, "size: 1GiB", 'devices: [{host: "0000:01:00.0"}]'),
        (x86("hp", (Span.sized(0x791F_4000, 0x4000), "direct")),),
    ),
    "floppy-workaround": Case(
        "MM403",
        layout(Q35, "size: 1GiB", 'devices: [{host: "0000:01:00.0"}]'),
        (x86("old", (Span(0, 16 * MIB), "direct"), kernel="5.4.0"),),
    ),
    "direct-is-a-hole-on-old-arm": Case(
        "MM504",
        layout(VIRT, "size: 2GiB", 'devices: [{host: "0000:01:00.0"}]'),
        (arm("old", (Span.sized(0x6000_0000, MIB), "direct"), kernel="5.10.0"),),
    ),
    "group-unassignable": Case(
        "MM407",
        layout(Q35, "size: 1GiB"),
        (x86("hp", (Span.sized(0x791F_4000, 0x4000), "direct")),),
    ),
    "unknown-device": Case(
        "MM310", layout(Q35, "size: 1GiB", 'devices: [{host: "0000:ff:00.0"}]'), (x86(),)
    ),
    "device-on-one-host-of-two": Case(
        "MM310",
        layout(Q35, "size: 1GiB", "reserve: assigned", 'devices: [{host: "0000:01:00.0"}]'),
        (x86(), replace(make_host("other", {"1": [X86_MSI, HT]}), iommu="amd")),
    ),
    "msi-not-isolated": Case(
        "MM309",
        layout(VIRT, "size: 1GiB", 'devices: [{host: "0000:01:00.0"}]'),
        (arm("pi5", isolated_msi=False),),
    ),
    "hotplug-window-holed": Case(
        "MM411", layout(VIRT, "size: 1GiB, max: 4GiB, slots: 2"), (x86(),)
    ),
    "relaxable-covered": Case(
        "MM410",
        layout(VIRT, "size: 1GiB"),
        (arm("lx", (Span.sized(0x4000_0000, MIB), "direct-relaxable")),),
    ),
    "no-low-memory": Case(
        "MM408",
        layout(
            "machine: {type: custom}",
            "size: 1GiB",
            "regions: [{name: high, kind: ram, base: 0x8000000000, size: 4GiB}]",
        ),
        (arm(),),
    ),
    "boot-blocked": Case(
        "MM502",
        layout(VIRT, "size: 1GiB"),
        (arm("seattle", (Span.sized(0x4000_0000, GIB), "reserved")),),
    ),
    "no-room": Case("MM501", layout("machine: {type: custom}", "size: 3GiB", CUSTOM), (arm(),)),
    "no-room-in-a-fleet": Case(
        "MM501",
        layout("machine: {type: custom}", "size: 1GiB", CUSTOM),
        (
            arm("good"),
            arm("bad", (Span.sized(0x6000_0000, 64 * MIB), "reserved")),
            arm("fine", (Span.sized(0x1_0000_0000, MIB), "reserved")),
        ),
    ),
    "no-room-where-hosts-agree": Case(
        "MM501",
        layout("machine: {type: custom}", "size: 1GiB", CUSTOM),
        tuple(arm(name, (Span.sized(0x6000_0000, 64 * MIB), "reserved")) for name in ("a", "b")),
    ),
    "too-few-slots": Case(
        "MM503",
        layout(
            "machine: {type: custom}",
            "size: 3GiB, slots: 1",
            "regions: [{name: low, kind: ram, base: 0x40000000, size: 4GiB}]",
        ),
        (arm("holed", *((Span.sized(n * GIB, 64 * MIB), "reserved") for n in (2, 3, 4))),),
    ),
    "unaligned-memory": Case(
        "MM508",
        layout(VIRT, "size: 1100MiB, boot-min: 1000MiB, block: 512MiB"),
        (arm("holed", (Span.sized(0x7FF0_0000, MIB), "reserved")),),
    ),
    "no-doorbell": Case(
        "MM505",
        layout(
            "machine: {type: custom}",
            "size: 8GiB",
            "regions: [{name: all, kind: ram, base: 0x0, size: 8GiB}]",
        ),
        (make_host("plain", {"0": [(Span.sized(1 << 40, MIB), "reserved")]}),),
    ),
    "doorbell-pin": Case(
        "MM506", layout(VIRT, "size: 1GiB", "doorbell: {pin: 0x09000000}"), (arm(),)
    ),
    "doorbell-pinned": Case(
        "MM504", layout(VIRT, "size: 3GiB", "doorbell: {pin: 0xd0000000}"), (arm(),)
    ),
    "doorbell-not-realised": Case("MM507", layout(VIRT, "size: 1GiB"), (arm(),)),
    "machine-refused": Case(
        "MM204",
        layout('machine: {type: virt, version: "7.2", cpu: max, address-bits: 36}', "size: 128GiB"),
        (arm(),),
    ),
    "machine-changed": Case(
        "MM509",
        layout('machine: {type: q35, version: "7.2", cpu: EPYC}', "size: 1100GiB"),
        (x86("amd", HT),),
    ),
    "machine-not-modelled": Case(
        "MM204",
        layout('machine: {type: q35, version: "7.2", cpu: no-such-cpu}', "size: 64GiB"),
        (x86(),),
    ),
    "no-iommu": Case("MM307", layout(VIRT, "size: 1GiB"), (NO_IOMMU,)),
    "facts-not-whole": Case("MM502", layout(VIRT, "size: 1GiB"), (shipped("amd-desktop"),)),
}
_CUT = CASES["facts-not-whole"].hosts[0]
CASES["facts-not-whole"] = replace(
    CASES["facts-not-whole"],
    hosts=(replace(_CUT, groups=tuple(replace(g, whole=False) for g in _CUT.groups)),),
)


def said(plan: Plan, text: str) -> str:
    shown = [
        "\n".join([*render(finding, {"layouts/case.yaml": text}), ""]) for finding in plan.findings
    ]
    return "\n".join(shown)


@pytest.mark.parametrize("name", CASES)
def test_golden_findings(name: str, golden: Golden) -> None:
    case = CASES[name]
    plan = plan_of_text(case.layout, case.hosts)
    golden(f"judge/findings/{name}.txt", f"{case.layout}\n{said(plan, case.layout)}")
    assert case.code in {finding.code for finding in plan.findings}
    reverse = plan_of_text(case.layout, tuple(reversed(case.hosts)))
    assert [f.to_json() for f in reverse.findings] == [f.to_json() for f in plan.findings]


@pytest.mark.parametrize("name", CASES)
def test_a_plan_without_errors_covers_nothing_forbidden(name: str) -> None:
    plan = plan_of_text(CASES[name].layout, CASES[name].hosts)
    if plan.ok:
        assert plan.placement is not None
        assert not plan.placement.guest.ram() & plan.binding.holes
