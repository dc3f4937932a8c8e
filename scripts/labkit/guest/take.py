"""Take what /sys and /proc say of the IOMMUs: small files, and links as links."""

import base64
import os
import platform

PROC = ("iomem", "cmdline", "version", "sys/kernel/osrelease", "sys/kernel/hostname")
SINGLE = (
    "kernel/mm/transparent_hugepage/hpage_pmd_size",
    "module/vfio_iommu_type1/parameters/allow_unsafe_interrupts",
    "module/iommufd/parameters/allow_unsafe_interrupts",
)
TABLES = ("DMAR", "IVRS", "IORT", "VIOT", "DSDT")


def kernel_log():
    """Return the kernel's messages so far, without their times."""
    lines = []
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

    def __init__(self):
        self.files = {}
        self.links = {}

    def file(self, path, name=None):
        """Take one file; one that is not there is left out."""
        try:
            with open(path, errors="replace") as file:
                self.files[(name or path).lstrip("/")] = file.read()
        except OSError:
            pass

    def link(self, path):
        """Take a link as it stands."""
        if os.path.islink(path):
            self.links[path.lstrip("/")] = os.readlink(path)

    def device(self, path):
        """Take what identifies a device; *path* is a link to it.

        The uevent file has vendor, device, class and driver in one.
        """
        self.link(path)
        self.file(f"{os.path.realpath(path)}/uevent")


def run(_job):
    """Take everything."""
    taking = Taking()
    root = "/sys/kernel/iommu_groups"
    for group in sorted(os.listdir(root), key=int):
        for name in ("reserved_regions", "type"):
            taking.file(f"{root}/{group}/{name}")
        for device in os.listdir(f"{root}/{group}/devices"):
            taking.device(f"{root}/{group}/devices/{device}")
    for device in os.listdir("/sys/bus/pci/devices"):
        if not os.path.exists(f"/sys/bus/pci/devices/{device}/iommu_group"):
            taking.device(f"/sys/bus/pci/devices/{device}")
    for unit in os.listdir("/sys/class/iommu"):
        path = f"/sys/class/iommu/{unit}"
        taking.link(path)
        real = os.path.realpath(path)
        taking.device(f"{real}/device")
        for folder in ("intel-iommu", "amd-iommu"):
            if os.path.isdir(f"{real}/{folder}"):
                for name in os.listdir(f"{real}/{folder}"):
                    taking.file(f"{real}/{folder}/{name}")
        if os.path.isdir(f"{real}/devices"):
            for name in os.listdir(f"{real}/devices"):
                taking.link(f"{real}/devices/{name}")
    for name in SINGLE:
        taking.file(f"/sys/{name}")
    for name in PROC:
        taking.file(f"/proc/{name}")
    tables = {}
    for name in TABLES:
        path = f"/sys/firmware/acpi/tables/{name}"
        if os.path.exists(path):
            with open(path, "rb") as file:
                tables[name] = base64.b64encode(file.read()).decode()
    log = kernel_log()
    words = ("iommu", "smmu", "dmar", "amd-vi", "remapping", "ivrs", "iort", "rmr", "viot", "vfio")
    return {
        "files": taking.files,
        "links": taking.links,
        "tables": tables,
        "release": platform.release(),
        "log": [line for line in log if any(word in line.lower() for word in words)],
    }
