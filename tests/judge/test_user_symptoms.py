"""What users met, as they had it, and the finding that would have told them.

Numbers are those of docs/symptoms.md. What is no matter of a layout or of host facts is left to
``guestmap explain``, and the table says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import pytest
from kit import ROOT
from kit.plan_cases import ARM_MSI, HT, Q35, VIRT, X86_MSI, arm, layout, plan_of_text, shipped, x86
from kit.strategies import make_host

from planner.host.profile import HostProfile
from planner.judge.host import judge_facts
from planner.span import Span

AMD_CPU = 'machine: {type: q35, version: "7.2", cpu: "EPYC,phys-bits=48"}'
AMD_CPU_40 = 'machine: {type: q35, version: "7.2", cpu: EPYC}'
DEVICE = 'devices: [{host: "0000:01:00.0"}]'


@dataclass(frozen=True)
class Symptom:
    number: str
    layout: str
    hosts: tuple[HostProfile, ...]
    code: str
    #: What the finding must say.
    words: str


def hp(name: str, *spans: Span, kernel: str = "6.12.0", iommu: str = "intel") -> HostProfile:
    regions = [(span, "direct") for span in spans]
    host = make_host(name, {"14": [X86_MSI, *regions]}, devices={"14": ["0000:01:00.0"]})
    return replace(host, kernel=kernel, iommu=iommu)


FLOPPY = Span(0, 0x100_0000)
SYMPTOMS = [
    Symptom(
        "S1",
        layout(VIRT, "size: 4GiB"),
        (shipped("amd-desktop"),),
        "MM504",
        r"msi \[0xfee00000-0xfeefffff\] of groups 27, 28 .* on puchatek.*",
    ),
    Symptom("S1", layout(VIRT, "size: 4GiB"), (shipped("amd-desktop"),), "MM504", "3054 MiB"),
    Symptom(
        "S2",
        layout(Q35, "size: 2GiB", DEVICE),
        (hp("old", FLOPPY, kernel="5.4.0"),),
        "MM403",
        r"direct \[0x0-0xffffff\].*floppy workaround.*a newer kernel may do",
    ),
    Symptom(
        "S3",
        layout(AMD_CPU_40, "size: 1100GiB"),
        (shipped("amd-workstation"),),
        "MM509",
        r"phys-bits too low \(40\)",
    ),
    Symptom(
        "S4",
        layout(VIRT, "size: 2GiB"),
        (shipped("amd-workstation"),),
        "MM404",
        r"BARs placed at \[0xfd00000000-0xffffffffff\] are lost to peer-to-peer DMA",
    ),
    Symptom(
        "S5",
        layout(Q35, "size: 1100GiB"),
        (x86("htrange-ignored"), x86("older", HT)),
        "MM504",
        r"reserved \[0xfd00000000-0xffffffffff\] of group 7 .* on older",
    ),
    Symptom(
        "S6",
        layout(VIRT, "size: 5TiB"),
        (arm("dma-mask-42", address_bits=42),),
        "MM501",
        r"above the IOMMU's 42 bits \[0x40000000000-0xffffffffffffffff\] on dma-mask-42",
    ),
    Symptom(
        "S7",
        layout(VIRT, "size: 8GiB"),
        (shipped("hisilicon-d05"), shipped("ampere-altra")),
        "MM504",
        r"msi \[0xc6010000-0xc601ffff\] of group 3 on hisilicon-d05",
    ),
    Symptom(
        "S9",
        layout(Q35, "size: 2GiB", DEVICE),
        (hp("harvester", Span.sized(0x791F_4000, 0x4000), kernel="5.14.21"),),
        "MM403",
        "Device is ineligible for IOMMU domain attach due to platform RMRR requirement",
    ),
    Symptom(
        "S10",
        layout(Q35, "size: 2GiB", DEVICE),
        (hp("e5-2665", Span.sized(0x791F_4000, 0x4000)),),
        "MM403",
        "Firmware has requested this device have a 1:1 IOMMU mapping",
    ),
    Symptom(
        "S11",
        layout(Q35, "size: 2GiB", DEVICE),
        (hp("dgpu", Span.sized(0xBF00_0000, 0x1000), iommu="amd"),),
        "MM403",
        r"the firmware's IVRS \(IVMD\); no memory map helps",
    ),
    Symptom(
        "S12",
        layout(Q35, "size: 2GiB", DEVICE),
        (hp("laptop", Span.sized(0xBF00_0000, 0x1000), iommu="amd"),),
        "MM403",
        "Pre-boot DMA Protection.*Kernel DMA Protection Indicator",
    ),
    Symptom(
        "S13",
        layout(Q35, "size: 2GiB"),
        (shipped("hp-gen8-microserver"),),
        "MM407",
        "cannot be assigned .direct regions.",
    ),
    Symptom(
        "S14",
        layout(Q35, "size: 2GiB"),
        (shipped("acer-raptor-lake"),),
        "MM412",
        "46 physical address bits, the IOMMU of acer-raptor-lake translates 39",
    ),
    Symptom(
        "S15",
        layout(Q35, "size: 2GiB"),
        (shipped("acer-raptor-lake"),),
        "MM412",
        "add phys-bits=39 to the CPU, or host-phys-bits-limit=39 under KVM",
    ),
    Symptom(
        "S16",
        layout(VIRT, "size: 2GiB"),
        (shipped("intel-haswell"),),
        "MM405",
        r"BARs placed at \[0x8000000000-0xffffffffff\] are lost",
    ),
    Symptom(
        "S17",
        layout(VIRT, "size: 600GiB"),
        (arm("nested-39", address_bits=39),),
        "MM501",
        "at most 509.5 GiB fit|at most [0-9]+ [GM]iB fit",
    ),
    Symptom(
        "S19",
        layout(Q35.replace("46", "52"), "size: 2GiB"),
        (x86("wide", address_bits=48),),
        "MM412",
        "52 physical address bits, the IOMMU of wide translates 48",
    ),
    Symptom(
        "S21",
        layout(VIRT, "size: 2GiB", DEVICE),
        (arm("pi5", isolated_msi=False),),
        "MM309",
        "allow_unsafe_interrupts=1",
    ),
    Symptom(
        "S22",
        layout(VIRT, "size: 4GiB", 'hotplug: {devices: ["0000:29:00.0"]}', "reserve: assigned"),
        (shipped("amd-desktop"),),
        "MM504",
        "of group 28 .0000:29:00.0. on puchatek",
    ),
    Symptom(
        "S26",
        layout(VIRT, "size: 4GiB"),
        (arm("source"), x86("destination")),
        "MM504",
        r"msi \[0xfee00000-0xfeefffff\] of group 7 \(0000:01:00.0\) on destination",
    ),
    Symptom(
        "S27",
        layout(VIRT, "size: 1GiB"),
        (shipped("ampere-altra"),),
        "MM406",
        "no rule of the kernel",
    ),
]


@pytest.mark.parametrize("symptom", SYMPTOMS, ids=lambda s: f"{s.number}-{s.code}")
def test_the_finding_says_it(symptom: Symptom) -> None:
    plan = plan_of_text(symptom.layout, symptom.hosts)
    texts = [
        "\n".join((f.message, *f.notes, f.help)) for f in plan.findings if f.code == symptom.code
    ]
    assert any(re.search(symptom.words, text, re.DOTALL) for text in texts), (texts, plan.findings)


def test_s5_without_the_hypertransport_line_nothing_moves() -> None:
    plan = plan_of_text(layout(Q35, "size: 1100GiB"), (x86("htrange-ignored"),))
    assert plan.placement is not None
    assert plan.placement.pieces == ()
    assert "MM504" not in {finding.code for finding in plan.findings}


def test_s8_the_plan_lists_the_holes_a_vmm_has_to_tell_its_guest() -> None:
    plan = plan_of_text(layout(AMD_CPU, "size: 1536GiB"), (shipped("amd-workstation"),))
    assert Span.inclusive(0xFD_0000_0000, 0xFF_FFFF_FFFF) in set(plan.binding.holes)


def test_s20_a_window_the_platform_cannot_reach_is_flagged_when_the_operator_says_so() -> None:
    told = arm("dt-platform", (Span.sized(0x800_0000, 0x1000_0000), "reserved"))
    (finding,) = (f for f in judge_facts(told) if f.code == "MM317")
    assert finding.message == (
        "msi [0x8000000-0x80fffff] of group 0 on dt-platform lies in reserved"
        " [0x8000000-0x17ffffff]: MSIs written to [0x8000000-0x80fffff] do not arrive"
    )


def test_s24_many_pieces_are_counted() -> None:
    regions = ", ".join(
        f"{{name: rom{n}, kind: rom, base: {0x1_0000_0000 + (n << 16):#x}, size: 4KiB}}"
        for n in range(700)
    )
    board = f"regions: [{{name: low, kind: ram, base: 0x40000000, size: 1GiB}}, {regions}]"
    plan = plan_of_text(layout("machine: {type: custom}", "size: 1GiB", board), (arm(),))
    assert [f.message for f in plan.findings if f.code == "MM409"] == [
        "the map takes 701 DMA mappings of 65535 that one VFIO container has"
    ]


def test_s28_every_member_of_a_group_binds() -> None:
    two = make_host("deepin", {"3": [ARM_MSI, HT]}, devices={"3": ["a", "b"]})
    for device in ("a", "b"):
        assert {g.id for g in two.groups_of([device])} == {"3"}


def test_the_table_in_the_docs_covers_every_symptom() -> None:
    table = (ROOT / "docs/symptoms.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (S\d+) \|.*\| ([^|]+) \|$", table, re.MULTILINE))
    assert sorted(rows, key=lambda n: int(n[1:])) == [f"S{n}" for n in range(1, 29)]
    for symptom in SYMPTOMS:
        assert symptom.code in rows[symptom.number], symptom.number
