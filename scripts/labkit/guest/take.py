"""Take what /sys and /proc say of the IOMMUs: small files, and links as links."""

from __future__ import annotations

import base64
import os
import platform

PROC = ("iomem", "cmdline", "version", "sys/kernel/osrelease", "sys/kernel/hostname")
SINGLE = (
    "kernel/mm/transparent_hugepage/hpage_pmd_size",
    "module/vfio_iommu_type1/parameters/allow_unsafe_interrupts",
    "module/iommufd/parameters/allow_unsafe_interrupts",
)
LOGGED = ("iommu", "smmu", "dmar", "amd-vi", "remapping", "ivrs", "iort", "rmr", "viot", "vfio")
TABLES = ("DMAR", "IVRS", "IORT", "VIOT", "DSDT")


def kernel_log() -> list[str]:
    """Return the kernel's messages so far, without their times."""
    lines: list[str] = []
    descriptor = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    try:
        while True:
            record = os.read(descriptor, 8192).decode(errors="replace")
            lines.append(record.partition(";")[2].partition("\n")[0])
    except BlockingIOError:
        return lines
    finally:
        os.close(descriptor)


class Taking:
    """What was taken so far: path → text, and path → where a link points."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.links: dict[str, str] = {}

    def file(self, path: str, name: str | None = None) -> None:
        """Take one file; one that is not there is left out."""
        try:
            with open(path, errors="replace") as file:
                self.files[(name or path).lstrip("/")] = file.read()
        except OSError:
            pass

    def link(self, path: str) -> None:
        """Take a link as it stands."""
        if os.path.islink(path):
            self.links[path.lstrip("/")] = os.readlink(path)

    def device(self, path: str) -> None:
        """Take what identifies a device; *path* is a link to it.

        The uevent file has vendor, device, class and driver in one.
        """
        self.link(path)
        self.file(f"{os.path.realpath(path)}/uevent")


def groups(taking: Taking) -> None:
    """Take every group, its devices, and the devices in none."""
    root = "/sys/kernel/iommu_groups"
    for group in sorted(os.listdir(root), key=int):
        for name in ("reserved_regions", "type"):
            taking.file(f"{root}/{group}/{name}")
        for device in os.listdir(f"{root}/{group}/devices"):
            taking.device(f"{root}/{group}/devices/{device}")
    for device in os.listdir("/sys/bus/pci/devices"):
        if not os.path.exists(f"/sys/bus/pci/devices/{device}/iommu_group"):
            taking.device(f"/sys/bus/pci/devices/{device}")


def units(taking: Taking) -> None:
    """Take every IOMMU unit with its registers and the devices behind it."""
    for unit in os.listdir("/sys/class/iommu"):
        taking.link(f"/sys/class/iommu/{unit}")
        real = os.path.realpath(f"/sys/class/iommu/{unit}")
        taking.device(f"{real}/device")
        for folder in ("intel-iommu", "amd-iommu"):
            for name in listed(f"{real}/{folder}"):
                taking.file(f"{real}/{folder}/{name}")
        for name in listed(f"{real}/devices"):
            taking.link(f"{real}/devices/{name}")


def listed(folder: str) -> list[str]:
    """List a folder; empty when there is none."""
    return os.listdir(folder) if os.path.isdir(folder) else []


def tables() -> dict[str, str]:
    """Take the ACPI tables that speak of IOMMUs, as Base64."""
    found = {}
    for name in set(TABLES).intersection(listed("/sys/firmware/acpi/tables")):
        with open(f"/sys/firmware/acpi/tables/{name}", "rb") as file:
            found[name] = base64.b64encode(file.read()).decode()
    return found


def run(_job: object) -> dict[str, object]:
    """Take everything."""
    taking = Taking()
    groups(taking)
    units(taking)
    for name in SINGLE:
        taking.file(f"/sys/{name}")
    for name in PROC:
        taking.file(f"/proc/{name}")
    return {
        "files": taking.files,
        "links": taking.links,
        "tables": tables(),
        "release": platform.release(),
        "log": [line for line in kernel_log() if any(word in line.lower() for word in LOGGED)],
    }
