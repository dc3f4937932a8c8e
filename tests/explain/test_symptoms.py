"""The words of QEMU, libvirt and the kernel, as users reported them, told apart."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import cast

import pytest
from click.testing import Result
from hypothesis import given, settings
from hypothesis import strategies as st
from kit import ROOT, Golden, cli_runner

from planner.cli import explain
from planner.explain import symptoms
from planner.explain.rows import ROWS, WORDS, Row
from planner.explain.symptoms import recognise
from planner.findings import CODES
from planner.host.read import read_host

HOSTS = ROOT / "layouts" / "hosts"

#: Message as reported → (row, codes it leads to).
SAID: dict[str, tuple[str, tuple[str, ...]]] = {
    "VFIO_MAP_DMA: -22": ("map-bare", ("MM401", "MM402")),
    "vfio_dma_map(0x563169753c80, 0x40000000, 0x100000000, 0x7fb2a3e00000) = -22"
    " (Invalid argument)": ("map-einval", ("MM401", "MM402")),
    "vfio_container_dma_map(0x5581, 0x0, 0x80000000, 0x7f) = -22 (Invalid argument)": (
        "map-einval",
        ("MM401", "MM402"),
    ),
    "vfio_dma_map(0x1, 0xfe000000, 0x1000, 0x7f) = -14 (Bad address)": ("map-efault", ()),
    "vfio_dma_map(0x1, 0x0, 0x1000, 0x7f) = -28 (No space left on device)": (
        "map-enospc",
        ("MM409",),
    ),
    "vfio_dma_map(0x1, 0x0, 0x1000, 0x7f) = -12 (Cannot allocate memory)": ("map-enomem", ()),
    "vfio_dma_map(0x1, 0x0, 0x1000, 0x7f) = -17 (File exists)": ("map-eexist", ("MM203",)),
    "qemu: hardware error: vfio: DMA mapping failed, unable to continue": (
        "hotplug-fatal",
        ("MM401", "MM411"),
    ),
    "vfio 0000:01:00.0: failed to setup container for group 3: memory listener initialization"
    " failed: Region m1: vfio_dma_map(0x55d, 0xfd00000000, 0x8000000, 0x7f) = -22"
    " (Invalid argument)": ("map-einval", ("MM401", "MM402")),
    "vfio 0000:01:00.0: failed to setup container for group 3: memory listener initialization"
    " failed": ("attach-listener", ("MM401",)),
    "vfio-pci 0000:04:00.1: DMAR: Device is ineligible for IOMMU domain attach due to platform"
    " RMRR requirement. Contact your platform vendor.": ("rmrr-ineligible", ("MM403",)),
    "vfio-pci 0000:03:00.0: Firmware has requested this device have a 1:1 IOMMU mapping,"
    " rejecting configuring the device without a 1:1 mapping. Contact your platform vendor.": (
        "require-direct",
        ("MM403",),
    ),
    "DMAR: Setting identity map for device 0000:01:00.2 [0x791f4000 - 0x791f7fff]": (
        "rmrr-identity",
        ("MM403", "MM410"),
    ),
    "DMAR: [Firmware Bug]: No firmware reserved region can cover this RMRR"
    " [0x00000000bb800000-0x00000000bbffffff], contact BIOS vendor for fixes": (
        "rmrr-uncovered",
        ("MM403",),
    ),
    "failed to set iommu for container: Operation not permitted": (
        "eperm-interrupts",
        ("MM309", "MM403"),
    ),
    "Failed to set group container: Invalid argument": ("einval-container", ("MM403", "MM401")),
    "cannot add vfio group to container, error 22 (invalid argument)": (
        "einval-container",
        ("MM403", "MM401"),
    ),
    "vfio_iommu_type1_attach_group: No interrupt remapping support.  Use the module param"
    ' "allow_unsafe_interrupts" to enable VFIO IOMMU support on this platform': (
        "no-remapping",
        ("MM309",),
    ),
    "Address space limit 0xffffffffff < 0x1fdffffffff phys-bits too low (40) cannot avoid AMD HT"
    " range": ("ht-range", ("MM204",)),
    "qemu-system-aarch64: Addressing limited to 40 bits, but memory exceeds it by 1073741824"
    " bytes": ("virt-bits", ("MM204",)),
    "intel_iommu_map: iommu width (39) is not sufficient for the mapped address (8800001000)": (
        "iommu-width",
        ("MM402", "MM412"),
    ),
    "arm-smmu 64000000.iommu: Unhandled context fault: fsr=0x402, iova=0x00000040, fsynr=0x1": (
        "context-fault",
        ("MM317",),
    ),
    "virtio-iommu-memory-region-7-0: Notified about new host reserved regions after probe": (
        "after-probe",
        ("MM401",),
    ),
    "VFIO_MAP_DMA failed: possibly running out of DMA mappings. E.g., try increasing the"
    " 'block-size' of virtio-mem devies. Maximum possible DMA mappings: 65535": (
        "map-enospc",
        ("MM409",),
    ),
    "Block size [0x8000000] unaligned hotplug range: start 0x100000000, size 0x4000000": (
        "guest-block",
        ("MM508",),
    ),
    "vfio 0000:01:00.0: group 15 is not viable": ("not-viable", ()),
    "memory hotplug is not enabled: missing acpi-ged device": ("no-ged", ()),
    "can't add memory device [0x80000000:0x40000000], usable range for memory devices"
    " [0x100000000:0x1180000000]": ("memory-plug", ("MM204",)),
    "array size property len-reserved-regions may not be set more than once": (
        "reserved-twice",
        ("MM507",),
    ),
    "IOMMU_IOAS_MAP failed: Bad address (os error 14)": ("map-efault", ()),
    "[iommufd=24] error attach 0000:01:00.0 (17): Address already in use": (
        "iommufd-attach",
        ("MM401",),
    ),
    "kvm_set_user_memory_region: KVM_SET_USER_MEMORY_REGION failed, slot=4": (
        "kvm-memory-region",
        ("MM204",),
    ),
}


@pytest.mark.parametrize("message", SAID, ids=lambda message: message[:40])
def test_message_is_told(message: str) -> None:
    found = recognise(f"starting\n{message}\nbye\n")
    assert [(symptom.row.id, symptom.row.codes, symptom.line) for symptom in found] == [
        (*SAID[message], 2)
    ]


def test_every_row_is_exercised() -> None:
    assert {row.id for row in ROWS} - {"eperm-rmrr"} == {row for row, _ in SAID.values()}


def test_every_code_named_exists() -> None:
    assert {code for row in ROWS for code in row.codes} <= set(CODES)


def test_eperm_beside_an_rmrr_is_firmware_not_interrupts() -> None:
    text = (
        "vfio: failed to set iommu for container: Operation not permitted\n"
        "DMAR: Device is ineligible for IOMMU domain attach due to platform RMRR requirement.\n"
    )
    assert [symptom.row.id for symptom in recognise(text)] == ["eperm-rmrr", "rmrr-ineligible"]


def test_repeated_messages_are_told_once() -> None:
    line = "vfio_dma_map(0x1, 0x380000000000, 0x10000000, 0x7f) = -22 (Invalid argument)\n"
    assert len(recognise(line * 5)) == 1


MAP = "vfio_dma_map(0x1, {}, {}, 0x7f) = -22 (Invalid argument)"


@pytest.mark.parametrize(
    ("host", "base", "size", "verdict"),
    [
        (
            "amd-desktop",
            "0x40000000",
            "0x100000000",
            "covers msi [0xfee00000-0xfeefffff] of groups 27, 28 (0000:29:00.0) on puchatek: 1 MiB",
        ),
        (
            "acer-raptor-lake",
            "0x380000000000",
            "0x10000000",
            "[0x380000000000-0x38000fffffff] reaches into what is above the IOMMU's 39 bits",
        ),
        (
            "hp-gen9",
            "0x100000000",
            "0x1000",
            "forbids nothing in [0x100000000-0x100000fff]: the map is not to blame there",
        ),
    ],
)
def test_address_is_checked_against_the_host(host: str, base: str, size: str, verdict: str) -> None:
    profile = read_host(HOSTS / f"{host}.yaml")
    (symptom,) = recognise(MAP.format(base, size), [profile])
    assert any(verdict in said for said in symptom.verdicts), symptom.verdicts


def test_device_with_a_direct_region_is_named() -> None:
    profile = read_host(HOSTS / "hp-gen9.yaml")
    (symptom,) = recognise(
        "vfio-pci 0000:04:00.1: DMAR: Device is ineligible for IOMMU domain attach due to platform"
        " RMRR requirement.",
        [profile],
    )
    assert "has direct [0x791f4000-0x791f7fff]" in symptom.verdicts[0]


def test_what_decides_may_come_in_another_piece() -> None:
    eperm = "vfio: failed to set iommu for container: Operation not permitted\n"
    rmrr = "vfio-pci 0000:04:00.1: DMAR: Device is ineligible due to platform RMRR requirement\n"
    assert [symptom.row.id for symptom in recognise([eperm, "\n", rmrr])] == ["eperm-rmrr"]
    assert [symptom.row.id for symptom in recognise([rmrr, "\n", eperm])] == ["eperm-rmrr"]
    assert [symptom.row.id for symptom in recognise([eperm, "\n"])] == ["eperm-interrupts"]


LOG = "boot\r\n" + "".join(f"é{said}\r\n\n" for said in list(SAID)[:12]) + "no end: vfio"


@given(st.lists(st.integers(0, len(LOG)), max_size=12))
def test_pieces_may_be_cut_anywhere(cuts: list[int]) -> None:
    ends = sorted({0, len(LOG), *cuts})
    assert recognise(LOG[a:b] for a, b in pairwise(ends)) == recognise(LOG)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
@settings(max_examples=40)
@given(st.data())
def test_a_line_that_matches_has_one_of_the_words(row: Row, data: st.DataObject) -> None:
    """Lines without them are not looked at; every way to match a row is drawn."""
    line = data.draw(st.from_regex(row.pattern)).lower()
    assert any(word in line for word in WORDS), line


def test_a_journal_is_read_in_bounded_memory() -> None:
    """32 MB come in pieces that differ, one of them a line of 8 MB; few are held at a time."""
    size = 1 << 18

    def pieces() -> Iterator[str]:
        for number in range(64):
            yield f"{number} host kernel: nothing\n" * (size // 25)
        for number in range(64):
            yield f"{number} vfio " * (size // 8)
        yield f"\n{MAP.format('0x40000000', '0x1000')}\n"

    tracemalloc.start()
    try:
        (symptom,) = recognise(pieces())
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert symptom.line == 64 * (size // 25) + 2
    assert most < 32 * size


def test_the_work_grows_as_the_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Characters that patterns are searched in, for a journal and for four of them."""
    searched = 0

    class Counting:
        def __init__(self, pattern: re.Pattern[str]) -> None:
            self.pattern = pattern

        def search(self, text: str) -> re.Match[str] | None:
            nonlocal searched
            searched += len(text)
            return self.pattern.search(text)

    rows = [replace(row, pattern=cast("re.Pattern[str]", Counting(row.pattern))) for row in ROWS]
    monkeypatch.setattr(symptoms, "ROWS", rows)
    lines = ["host systemd: started", "vfio-pci 0000:01:00.0: enabling device", *SAID]
    journal = "\n".join(lines) + "\n"
    counts = []
    for times in (10, 40):
        searched = 0
        recognise([journal] * times)
        counts.append(searched)
    assert counts[1] == 4 * counts[0] > 0


@given(st.text(max_size=200))
def test_any_text_is_answered(text: str) -> None:
    recognise(text)


def run(*arguments: str, given_text: str = "") -> tuple[Result, int]:
    result = cli_runner().invoke(
        explain.command, arguments, input=given_text, standalone_mode=False
    )
    assert result.exception is None, result.exception
    return result, result.return_value


def test_explain_log(golden: Golden) -> None:
    text = "boot\n" + MAP.format("0x40000000", "0x100000000") + "\nboot\n"
    result, code = run("-", "--host", str(HOSTS / "amd-desktop.yaml"), given_text=text)
    assert (code, result.stderr) == (0, "")
    golden("explain/explain-log.txt", result.stdout)


def test_explain_log_json() -> None:
    result, code = run("-", "--json", given_text=MAP.format("0x40000000", "0x100000000"))
    document = json.loads(result.stdout)
    assert code == 0
    assert (document["format"], document["version"]) == ("guestmap/explain", 1)
    (symptom,) = document["symptoms"]
    assert symptom["symptom"] == "map-einval"
    assert symptom["range"] == {"base": "0x40000000", "last": "0x13fffffff", "size": "0x100000000"}


def test_explain_log_without_known_words() -> None:
    result, code = run("-", given_text="all is well\n")
    assert (result.stdout, result.stderr, code) == (
        "",
        "nothing in the text is known to guestmap\n",
        1,
    )


@pytest.mark.parametrize("what", ["MM203", "mm203", "region-overlap"])
def test_explain_code_prints_its_page(what: str) -> None:
    result, code = run(what)
    assert code == 0
    assert result.stdout == (ROOT / "docs/findings/MM203.md").read_text()


def test_explain_lists_all_codes() -> None:
    result, _ = run()
    assert [line[:5] for line in result.stdout.splitlines()] == sorted(CODES)
    assert len(json.loads(run("--json")[0].stdout)["codes"]) == len(CODES)


def test_explain_unknown_names_the_nearest() -> None:
    result = cli_runner().invoke(explain.command, ["region-overlapp"])
    assert result.exit_code == 2
    assert "the nearest is region-overlap\n" in result.stderr


def test_explain_page_as_json() -> None:
    document = json.loads(run("MM203", "--json")[0].stdout)
    assert (document["format"], document["code"]) == ("guestmap/page", "MM203")
    assert document["markdown"] == (ROOT / "docs/findings/MM203.md").read_text()


def test_explain_with_an_unreadable_host() -> None:
    result = cli_runner().invoke(explain.command, ["-", "--host", "/nonexistent"], input="x")
    assert result.exit_code == 2
    assert "/nonexistent cannot be read" in result.stderr


def test_device_without_isolated_interrupts_is_named() -> None:
    profile = read_host(HOSTS / "amd-desktop.yaml")
    text = "vfio 0000:29:00.0: failed to set iommu for container: Operation not permitted"
    (symptom,) = recognise(text, [replace(profile, isolated_msi=False)])
    assert symptom.verdicts == ("0000:29:00.0 on puchatek: the host does not isolate interrupts",)
    (symptom,) = recognise(text.replace("29:", "99:"), [profile])
    assert symptom.verdicts == ()
