"""The facts of a host from ``/sys``, or from a tree copied from another host.

A copied tree has the layout of ``/sys``; ``proc/`` may lie in it or beside it. Copies lose things:
links may point nowhere or be plain folders, files may be missing. What is missing stays unknown,
and where that could hide a reserved region it is a finding.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from planner.findings import Finding, Severity
from planner.host.aperture import host_address_width, intel_address_bits
from planner.host.dump import sort_ids
from planner.host.iomem import bridge_windows
from planner.host.profile import BridgeWindow, Device, Group, HostProfile
from planner.host.reserved import (
    Reserved,
    collapse_ids,
    groups_party,
    groups_words,
    parse_reserved,
)
from planner.text.read import read_file

__all__ = ["HostUnreadableError", "read_sysfs"]

#: Beginning of a name in class/iommu → kind. The drivers name their units so:
#: ``iommu_device_sysfs_add()`` in drivers/iommu/{intel/dmar,amd/init,arm/arm-smmu*}.c.
_KINDS = (
    ("dmar", "intel"),
    ("ivhd", "amd"),
    ("smmu3", "smmuv3"),
    ("arm-smmu-v3", "smmuv3"),
    ("smmu", "smmuv2"),
    ("arm-smmu", "smmuv2"),
    ("virtio", "virtio"),
)

#: Size of a huge page → the page size it belongs to (one page of page table entries of 8 bytes).
_PAGE_OF_HUGE = {page // 8 * page: page for page in (4096, 16384, 65536)}

_UNSAFE = tuple(
    f"module/{module}/parameters/allow_unsafe_interrupts"
    for module in ("vfio_iommu_type1", "iommufd")
)


_VIRTIO_UNIT = re.compile(r"/virtio\d+/iommu/")


class HostUnreadableError(Exception):
    """A path that is no host's facts at all: absent, unreadable, or another kind of folder."""


@dataclass(frozen=True, slots=True)
class _Roots:
    """Where a host's virtual file systems lie; text paths, because thousands are made of them."""

    sys: str
    proc: str
    #: This very host, not a copy.
    live: bool


def read_sysfs(tree: str | Path = "/sys") -> HostProfile:
    """Read the host whose sysfs is at *tree*.

    :param tree: ``/sys``, a copy of it, or a folder with copies in ``sys/`` and ``proc/``.
    :raise HostUnreadableError: *tree* is no such folder.
    """
    roots = _find_roots(os.fspath(tree))
    units = _read_units(roots.sys)
    bits = host_address_width({name: unit.bits for name, unit in units.items()})
    groups, findings, digest = _read_groups(roots.sys, units, bits)
    windows, unseen = _read_windows(roots.proc)
    digest.update(f"{bits}".encode())
    return HostProfile(
        name=_name(roots, tree),
        kernel=_kernel(roots),
        iommu=_kind(units) if groups else "none",
        address_bits=bits,
        groups=groups,
        bridge_windows=windows,
        page_bytes=_page_bytes(roots),
        findings=(*findings, *unseen, *_unchecked_interrupts(roots.sys)),
        sha256=digest.hexdigest(),
    )


def _find_roots(tree: str) -> _Roots:
    for sys in (tree, f"{tree}/sys"):
        if any(os.path.isdir(f"{sys}/{part}") for part in ("kernel", "class", "bus")):  # noqa: PTH112
            folder, name = os.path.split(os.path.abspath(sys))  # noqa: PTH100
            # Beside a folder of any other name, proc/ could be this host's own.
            beside = f"{folder}/proc" if name == "sys" else f"{sys}/proc"
            return _Roots(sys, beside, os.path.realpath(sys) == "/sys")
    raise HostUnreadableError(
        f"{tree} is no copy of /sys: it has neither kernel/, class/ nor bus/ (nor sys/ with them)"
    )


def _text(path: str) -> str:
    """Read a file's text without surrounding space; empty when it cannot be read."""
    try:
        return read_file(path, waiting=False).decode("utf-8", errors="replace").strip()
    except OSError:
        return ""


def _names(path: str) -> list[str]:
    """List a folder, sorted; empty when it cannot be read."""
    try:
        return sorted(os.listdir(path))  # noqa: PTH208
    except OSError:
        return []


@dataclass(frozen=True, slots=True)
class _Unit:
    """One IOMMU unit of class/iommu."""

    bits: int | None
    devices: tuple[str, ...]
    virtio: bool


def _read_units(sys: str) -> dict[str, _Unit]:
    units = {}
    for name in _names(f"{sys}/class/iommu"):
        path = f"{sys}/class/iommu/{name}"
        cap, ecap = (_hex(_text(f"{path}/intel-iommu/{register}")) for register in ("cap", "ecap"))
        bits = None if cap is None else intel_address_bits(cap, ecap or 0)
        # A virtio-iommu's unit is named after the PCI device; only its place says what it is.
        virtio = bool(_VIRTIO_UNIT.search(_link(path))) or "DRIVER=virtio_iommu" in _text(
            f"{path}/device/uevent"
        )
        units[name] = _Unit(bits, tuple(_names(f"{path}/devices")), virtio)
    return units


def _hex(text: str) -> int | None:
    return int(text, 16) if re.fullmatch(r"(0x)?[0-9a-fA-F]{1,16}", text) else None


def _kind(units: dict[str, _Unit]) -> str:
    for name, unit in units.items():
        for start, kind in _KINDS:
            if name.startswith(start):
                return kind
        if unit.virtio:
            return "virtio"
    return ""


def _read_groups(
    sys: str, units: dict[str, _Unit], host_bits: int | None
) -> tuple[tuple[Group, ...], list[Finding], hashlib._Hash]:
    folder = f"{sys}/kernel/iommu_groups"
    digest = hashlib.sha256()
    try:
        with os.scandir(folder) as entries:
            ids = sort_ids([entry.name for entry in entries if entry.is_dir()])
    except FileNotFoundError:
        return (), [_no_iommu("has no kernel/iommu_groups")], digest
    except OSError as error:
        message = f"kernel/iommu_groups cannot be read: {error.strerror}"
        return (), [Finding("MM308", message, _READ_HELP)], digest
    if not ids:
        return (), [_no_iommu("has an empty kernel/iommu_groups")], digest
    # Hosts repeat the same text in hundreds of groups: each text is read into regions once.
    sayers: dict[bytes | str, list[str]] = {}
    said: dict[str, bytes | str] = {}
    members: dict[str, list[str]] = {}
    hashed: list[bytes] = []
    for id_ in ids:
        text: bytes | str
        try:
            text = read_file(f"{folder}/{id_}/reserved_regions", waiting=False)
            hashed.append(text)
        except OSError as error:
            text = error.strerror or "unknown error"
        said[id_] = text
        sayers.setdefault(text, []).append(id_)
        members[id_] = _names(f"{folder}/{id_}/devices")
        hashed.append(f"{id_} {' '.join(members[id_])}\n".encode("utf-8", "surrogateescape"))
    digest.update(b"".join(hashed))
    reserved = {text: _parse(text, groups) for text, groups in sayers.items()}
    bits_of = {device: unit.bits for unit in units.values() for device in unit.devices}
    bus = f"{sys}/bus/pci/devices"
    on_bus = frozenset(_names(bus))
    groups = tuple(
        Group(
            id_,
            _text(f"{folder}/{id_}/type"),
            tuple(
                _device(
                    f"{bus}/{name}" if name in on_bus else f"{folder}/{id_}/devices/{name}", name
                )
                for name in members[id_]
            ),
            reserved[said[id_]].regions,
            reserved[said[id_]].whole,
            _group_bits(members[id_], bits_of, host_bits),
        )
        for id_ in ids
    )
    return groups, [finding for found in reserved.values() for finding in found.findings], digest


_READ_HELP = "read it on the host as root, or copy the tree again"


def _parse(text: bytes | str, groups: list[str]) -> Reserved:
    if isinstance(text, bytes):
        ids = groups[0]
        if len(groups) > 1:
            # As a shell would expand it: {0..3,7}.
            ids = f"{{{collapse_ids(groups).replace('-', '..').replace(', ', ',')}}}"
        return parse_reserved(text, f"kernel/iommu_groups/{ids}/reserved_regions", groups)
    message = f"reserved_regions of {groups_words(groups)} cannot be read: {text}"
    return Reserved((), (Finding("MM308", message, _READ_HELP, groups_party(groups)),), False)


def _no_iommu(why: str) -> Finding:
    return Finding(
        "MM307",
        f"the host {why}: it has no IOMMU, or the IOMMU is off",
        "enable the IOMMU in the firmware (VT-d, AMD-Vi, SMMU) and the kernel (intel_iommu=on);"
        " without one no device can be assigned",
    )


def _group_bits(
    members: list[str], bits_of: dict[str, int | None], host_bits: int | None
) -> int | None:
    if not bits_of:
        return None
    known = [bits for name in members if (bits := bits_of.get(name)) is not None]
    bits = min(known, default=None)
    return bits if bits != host_bits else None


def _device(place: str, name: str) -> Device:
    """Gather what a device's folder tells: ``uevent`` has it all, a copy may have single files."""
    if event := _text(f"{place}/uevent"):
        facts = dict(line.split("=", 1) for line in event.splitlines() if "=" in line)
        vendor, _, device = facts.get("PCI_ID", "").lower().partition(":")
        class_ = _hex(facts.get("PCI_CLASS", ""))
        return Device(
            name,
            f"0x{vendor}" if vendor else "",
            f"0x{device}" if device else "",
            f"0x{class_:06x}" if class_ is not None else "",
            facts.get("DRIVER", ""),
        )
    # Listed first: a lost link leaves an empty folder, and there are thousands of them.
    present = _names(place)
    vendor, device, class_code = (
        _text(f"{place}/{part}") if part in present else ""
        for part in ("vendor", "device", "class")
    )
    driver = _driver(f"{place}/driver") if "driver" in present else ""
    return Device(name, vendor, device, class_code, driver)


def _driver(path: str) -> str:
    """Return the name a driver link points to, or the text of a file in its place."""
    return _link(path).rpartition("/")[2] or _text(path)


def _link(path: str) -> str:
    """Return where a link points, also when nothing is there; empty when it is no link."""
    try:
        return os.readlink(path)  # noqa: PTH115
    except OSError:
        return ""


def _read_windows(proc: str) -> tuple[tuple[BridgeWindow, ...], list[Finding]]:
    try:
        windows = bridge_windows(
            read_file(f"{proc}/iomem", waiting=False).decode("ascii", errors="replace")
        )
        why = "shows zeros, as it does without CAP_SYS_ADMIN"
    except OSError:
        windows, why = None, "cannot be read"
    if windows is not None:
        return windows, []
    unseen = Finding(
        "MM316",
        f"proc/iomem {why}, so the PCI host bridges' windows are not known",
        "they only tell where peer-to-peer traffic could be taken for memory; read it as root",
    )
    return (), [unseen]


def _unchecked_interrupts(sys: str) -> list[Finding]:
    """Say when VFIO was told not to look whether interrupts are isolated.

    No file says whether they are: only that somebody gave up on it, which proves neither.
    """
    set_in = [path for path in _UNSAFE if _text(f"{sys}/{path}") == "Y"]
    return [
        Finding(
            "MM309",
            f"{path} is Y, so VFIO does not look whether interrupts are isolated",
            "where they are not, a guest can raise any interrupt of the host; the kernel's log"
            " tells ('Enabled IRQ remapping', or a GICv3 ITS)",
            level=Severity.NOTE,
        )
        for path in set_in
    ]


def _page_bytes(roots: _Roots) -> int | None:
    if roots.live:
        return os.sysconf("SC_PAGE_SIZE")
    huge = _text(f"{roots.sys}/kernel/mm/transparent_hugepage/hpage_pmd_size")
    return _PAGE_OF_HUGE.get(int(huge)) if huge.isdecimal() and len(huge) < 20 else None


def _kernel(roots: _Roots) -> str:
    return _text(f"{roots.proc}/sys/kernel/osrelease") or (os.uname().release if roots.live else "")


def _name(roots: _Roots, tree: str | Path) -> str:
    told = _text(f"{roots.proc}/sys/kernel/hostname")
    if told:
        return told
    if roots.live:
        return os.uname().nodename
    folder = Path(tree).resolve()
    return folder.parent.name if folder.name == "sys" else folder.name
