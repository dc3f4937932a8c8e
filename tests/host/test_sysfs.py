"""Reading a host from a sysfs tree."""

from __future__ import annotations

from pathlib import Path

import pytest
from kit.captures import CAPTURES, Captured
from kit.host_trees import HT, MSI, SW_MSI, group, make_tree

from planner.findings import Severity
from planner.host.profile import Device, HostProfile, Scope
from planner.host.read import HostUnreadableError, read_host
from planner.host.sysfs import read_sysfs


def codes(profile: HostProfile) -> list[str]:
    return [finding.code for finding in profile.findings if finding.code != "MM316"]


def test_groups_come_in_numeric_order_with_their_facts(tmp_path: Path) -> None:
    tree = make_tree(
        tmp_path / "puchatek",
        group(100, MSI)
        | group(28, MSI + HT, "0000:29:00.0", "0000:29:00.1")
        | group(3, MSI)
        | {
            "bus/pci/devices/0000:29:00.0/vendor": "0x10de\n",
            "bus/pci/devices/0000:29:00.0/device": "0x1b80\n",
            "bus/pci/devices/0000:29:00.0/class": "0x030000\n",
            "bus/pci/devices/0000:29:00.0/driver": "vfio-pci\n",
            "bus/pci/devices/0000:29:00.1/uevent": (
                "DRIVER=snd_hda_intel\nPCI_CLASS=40300\nPCI_ID=10DE:10F0\n"
                "PCI_SLOT_NAME=0000:29:00.1\n"
            ),
            "class/iommu/ivhd0/amd-iommu/cap": "40\n",
            "proc/sys/kernel/osrelease": "6.1.0-18-amd64\n",
            "kernel/mm/transparent_hugepage/hpage_pmd_size": "2097152\n",
        },
    )
    profile = read_sysfs(tree)
    assert profile.name == "puchatek"
    assert profile.kernel == "6.1.0-18-amd64"
    assert profile.iommu == "amd"
    assert profile.page_bytes == 4096
    assert profile.address_bits is None
    assert [found.id for found in profile.groups] == ["3", "28", "100"]
    assert profile.groups[1].type == "DMA-FQ"
    assert profile.groups[1].devices == (
        Device("0000:29:00.0", "0x10de", "0x1b80", "0x030000", "vfio-pci"),
        Device("0000:29:00.1", "0x10de", "0x10f0", "0x040300", "snd_hda_intel"),
    )
    assert codes(profile) == []


def test_groups_with_one_text_share_regions_and_origin(tmp_path: Path) -> None:
    tree = make_tree(tmp_path, group(0, MSI) | group(1, MSI) | group(2, MSI) | group(7, MSI))
    regions = [found.regions for found in read_sysfs(tree).groups]
    assert all(shared is regions[0] for shared in regions)
    assert str(regions[0][0].origin) == "kernel/iommu_groups/{0..2,7}/reserved_regions line 1"


def test_members_by_link_and_platform_devices(tmp_path: Path) -> None:
    tree = make_tree(
        tmp_path,
        {
            "kernel/iommu_groups/8/reserved_regions": SW_MSI,
            "devices/platform/3460000.sdhci/uevent": "DRIVER=sdhci-tegra\nOF_NAME=sdhci\n",
            "devices/pci0000:00/0000:00:01.0/vendor": "0x8086\n",
            "bus/pci/drivers/e1000e/": "",
            "kernel/iommu_groups/8/devices/": "",
            "kernel/iommu_groups/9/devices/": "",
            "kernel/iommu_groups/9/reserved_regions": SW_MSI,
        },
    )
    (tree / "kernel/iommu_groups/8/devices/3460000.sdhci").symlink_to(
        "../../../../devices/platform/3460000.sdhci"
    )
    (tree / "kernel/iommu_groups/9/devices/0000:00:01.0").symlink_to(
        "../../../../devices/pci0000:00/0000:00:01.0"
    )
    (tree / "devices/pci0000:00/0000:00:01.0/driver").symlink_to("../../../bus/pci/drivers/e1000e")
    (tree / "kernel/iommu_groups/9/devices/0000:00:02.0").symlink_to("nowhere")
    profile = read_sysfs(tree)
    assert profile.groups[0].devices == (Device("3460000.sdhci", driver="sdhci-tegra"),)
    assert profile.groups[1].devices == (
        Device("0000:00:01.0", "0x8086", driver="e1000e"),
        Device("0000:00:02.0"),
    )


@pytest.mark.parametrize("layout", ["sys", "."])
def test_proc_may_lie_beside_or_within(tmp_path: Path, layout: str) -> None:
    make_tree(tmp_path / "host" / layout, group(0, MSI))
    make_tree(
        tmp_path / "host",
        {
            "proc/sys/kernel/hostname": "altra\n",
            "proc/iomem": "40000000-4fffffff : PCI Bus 000c:00\n  40000000-400fffff : 000c\n",
        },
    )
    profile = read_sysfs(tmp_path / "host")
    assert profile.name == "altra"
    assert [(str(w.span), w.name) for w in profile.bridge_windows] == [
        ("0x40000000-0x4fffffff", "PCI Bus 000c:00")
    ]
    if layout == "sys":
        within = read_sysfs(tmp_path / "host" / "sys")
        assert within.bridge_windows == profile.bridge_windows


def test_hidden_windows_are_a_note(tmp_path: Path) -> None:
    tree = make_tree(
        tmp_path, group(0, MSI) | {"proc/iomem": "00000000-00000000 : PCI Bus 0000:00\n"}
    )
    (finding,) = read_sysfs(tree).findings
    assert finding.code == "MM316"
    assert finding.severity is Severity.NOTE
    assert finding.message == (
        "proc/iomem shows zeros, as it does without CAP_SYS_ADMIN, so the PCI host bridges' windows"
        " are not known"
    )


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (("dmar0", "dmar1"), "intel"),
        (("ivhd0",), "amd"),
        (("smmu3.0x0000000080000000",), "smmuv3"),
        (("arm-smmu-v3.0.auto",), "smmuv3"),
        (("smmu.0x0000000064000000",), "smmuv2"),
        (("arm-smmu.0.auto",), "smmuv2"),
        (("virtio0",), "virtio"),
        (("fsl-pamu",), ""),
    ],
)
def test_iommu_kind_by_its_units_names(tmp_path: Path, names: tuple[str, ...], kind: str) -> None:
    files = group(0, MSI) | {f"class/iommu/{name}/": "" for name in names}
    assert read_sysfs(make_tree(tmp_path, files)).iommu == kind


def test_virtio_iommu_is_known_by_its_place_or_driver(tmp_path: Path) -> None:
    files = group(0, SW_MSI) | {"class/iommu/": ""}
    linked = make_tree(tmp_path / "linked", files)
    (linked / "class/iommu/0000:00:01.0").symlink_to(
        "../../devices/pci0000:00/0000:00:01.0/virtio0/iommu/0000:00:01.0"
    )
    assert read_sysfs(linked).iommu == "virtio"
    bare = {"class/iommu/0000:00:05.0/device/uevent": "DRIVER=virtio_iommu\n"}
    assert read_sysfs(make_tree(tmp_path / "bare", files | bare)).iommu == "virtio"


def test_units_of_unlike_width_bind_their_own_groups(tmp_path: Path) -> None:
    files = (
        group(0, MSI, "0000:00:02.0")
        | group(1, MSI, "0000:01:00.0")
        | group(2, MSI, "0000:00:1f.0")
        | {
            "class/iommu/dmar0/intel-iommu/cap": "1c0000c40660462\n",
            "class/iommu/dmar0/devices/0000:00:02.0/": "",
            "class/iommu/dmar1/intel-iommu/cap": "8d2078c106f0466\n",
            "class/iommu/dmar1/devices/0000:01:00.0/": "",
        }
    )
    profile = read_sysfs(make_tree(tmp_path, files))
    assert profile.address_bits == 39
    assert [found.address_bits for found in profile.groups] == [None, 48, None]
    alone = profile.usable(Scope.ASSIGNED, ["0000:01:00.0"])
    assert alone[-1].end == 1 << 48
    assert profile.usable(Scope.HOST)[-1].end == 1 << 39


@pytest.mark.parametrize("module", ["vfio_iommu_type1", "iommufd"])
def test_that_nobody_looks_at_interrupts_is_a_note(tmp_path: Path, module: str) -> None:
    name = f"module/{module}/parameters/allow_unsafe_interrupts"
    strict = read_sysfs(make_tree(tmp_path / "strict", group(0, MSI) | {name: "N\n"}))
    loose = read_sysfs(make_tree(tmp_path / "loose", group(0, MSI) | {name: "Y\n"}))
    assert strict.isolated_msi is loose.isolated_msi is None
    assert codes(strict) == []
    assert [(f.severity, f.message) for f in loose.findings if f.code == "MM309"] == [
        (
            Severity.NOTE,
            f"{name} is Y, so VFIO does not look whether interrupts are isolated",
        )
    ]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"class/iommu/": ""},
            "the host has no kernel/iommu_groups: it has no IOMMU, or the IOMMU is off",
        ),
        (
            {"kernel/iommu_groups/": ""},
            "the host has an empty kernel/iommu_groups: it has no IOMMU, or the IOMMU is off",
        ),
    ],
)
def test_no_iommu_is_told_apart_and_leaves_nothing_usable(
    tmp_path: Path, files: dict[str, str], message: str
) -> None:
    profile = read_sysfs(make_tree(tmp_path, files))
    assert profile.iommu == "none"
    assert [f.message for f in profile.findings if f.code == "MM307"] == [message]
    assert not profile.usable(Scope.HOST)
    assert not profile.usable(Scope.ASSIGNED)


def test_a_group_without_its_file_is_not_whole(tmp_path: Path) -> None:
    tree = make_tree(tmp_path, group(0, MSI) | {"kernel/iommu_groups/1/type": "DMA\n"})
    profile = read_sysfs(tree)
    assert [found.whole for found in profile.groups] == [True, False]
    assert [f.message for f in profile.findings if f.code == "MM308"] == [
        "reserved_regions of group 1 cannot be read: No such file or directory"
    ]
    assert not profile.usable(Scope.HOST)


def test_groups_that_cannot_be_listed_are_a_finding(tmp_path: Path) -> None:
    tree = make_tree(tmp_path, {"kernel/iommu_groups": "a file where a folder should be"})
    profile = read_sysfs(tree)
    assert [f.message for f in profile.findings if f.code == "MM308"] == [
        "kernel/iommu_groups cannot be read: Not a directory"
    ]
    assert not profile.usable(Scope.HOST)


def test_one_finding_for_all_groups_with_the_same_damage(tmp_path: Path) -> None:
    tree = make_tree(tmp_path, group(0, "") | group(1, "") | group(2, MSI) | group(3, ""))
    profile = read_sysfs(tree)
    assert [f.message for f in profile.findings if f.code == "MM303"] == [
        "reserved_regions of groups 0, 1, 3 is empty, which does not mean that nothing is reserved"
    ]
    assert [found.whole for found in profile.groups] == [False, False, True, False]


def test_a_tree_larger_than_one_read_is_read_whole(tmp_path: Path) -> None:
    text = "".join(
        f"{at << 12:#018x} {(at << 12) + 0xFFF:#018x} direct\n" for at in range(0, 8000, 2)
    )
    profile = read_sysfs(make_tree(tmp_path, group(0, text)))
    assert len(profile.groups[0].regions) == 4000


def test_the_hash_binds_regions_and_members_but_not_drivers(tmp_path: Path) -> None:
    base = group(0, MSI, "0000:00:01.0")
    driver: dict[str, str | bytes] = {"bus/pci/devices/0000:00:01.0/driver": "vfio-pci\n"}

    def digest(name: str, files: dict[str, str | bytes]) -> str:
        return read_sysfs(make_tree(tmp_path / name, files)).sha256

    first = digest("a", base)
    assert digest("b", base | driver) == first
    assert digest("c", base | group(0, MSI + HT)) != first
    assert digest("d", base | group(0, MSI, "0000:00:02.0")) != first


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent", "absent cannot be read: No such file or directory"),
        (
            "empty",
            (
                "empty is no copy of /sys: it has neither kernel/, class/ nor bus/ (nor sys/ with"
                " them)"
            ),
        ),
    ],
)
def test_what_is_no_host_is_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(HostUnreadableError) as caught:
        read_host(tmp_path / name)
    assert str(caught.value) == f"{tmp_path}/{message}"


def test_a_tree_that_is_no_tree(tmp_path: Path) -> None:
    with pytest.raises(HostUnreadableError, match="absent is no copy of /sys"):
        read_sysfs(tmp_path / "absent")


@pytest.mark.parametrize("name", CAPTURES)
def test_trees_of_real_kernels_are_read_whole(name: str, captured: Captured) -> None:
    """Trees that kernels in QEMU showed: nothing in them is out of the ordinary."""
    profile = read_sysfs(captured(name))
    kind = name.partition("-")[0]
    assert profile.iommu == kind
    assert {finding.severity for finding in profile.findings} <= {Severity.NOTE}
    assert all(found.whole and found.devices and found.type for found in profile.groups)
    assert all(device.vendor for found in profile.groups for device in found.devices)
    assert profile.page_bytes == 4096
    assert profile.bridge_windows
    if kind == "intel":
        assert profile.address_bits == (39 if "-39-" in name else 48)
    else:
        assert profile.address_bits is None


def test_there_are_trees_of_real_kernels() -> None:
    assert len(CAPTURES) >= 20


def test_this_host_can_be_read() -> None:
    profile = read_host()
    assert profile.kernel
    assert profile.page_bytes
    assert profile.groups or [f.code for f in profile.findings if f.code in ("MM307", "MM308")]
