"""Which host devices a command or a running QEMU means, and the IOMMU groups they are in.

A device is named by PCI address (``host=``), by a sysfs path (``sysfsdev=``), by a character
device (``vhostdev=``), or by a descriptor somebody passed (``fd=``), which is looked at where it
is: in the guard when the client sends it, or in QEMU's own table.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from planner.text.pci import parse_pci
from qmp_glue.asks import Asks
from qmp_glue.guard.table import drivers
from qmp_glue.guard.table.rows import Judge
from qmp_glue.guard.values import Json
from qmp_glue.guard.verdicts import CannotJudgeError, PassedFd, Peer

__all__ = ["Assigned", "UnknownDeviceError", "asked_for", "assigned_now", "named_by"]

_GROUP_FILE = re.compile(r"/dev/vfio/(?:noiommu-)?(\d+)\Z")
_HELD = ("/dev/vfio/", "/dev/vhost-vdpa")
#: Arguments that name a host device.
_NAMES = ("sysfsdev", "host", "vhostdev", "vhostfd", "fd")
_CONTAINERS = ("/machine/peripheral", "/machine/peripheral-anon")


class UnknownDeviceError(CannotJudgeError):
    """Which host device is meant cannot be told; the message says why."""


@dataclass(frozen=True, slots=True, order=True)
class Assigned:
    """A host device by name, an IOMMU group by id, or both."""

    #: As sysfs names the device; empty when only the group is known.
    name: str
    #: Group id where sysfs told it; empty when only the name is known.
    group: str = ""


def named_by(arguments: Mapping[str, Json], peer: Peer, sysfs: Path) -> Assigned:
    """Return the host device that the arguments of a ``device_add`` or ``netdev_add`` mean.

    :param peer: knows the descriptors the client has passed by name, and QEMU's own by number.
    :raise UnknownDeviceError: it cannot be told.
    """
    given = {key: str(arguments[key]) for key in _NAMES if arguments.get(key) is not None}
    if len(given) > 1:
        # fd wins in QEMU (hw/vfio/pci.c vfio_pci_realize(), 10.0): who gives two is mistaken.
        words = " and ".join(f"{key}=" for key in given)
        raise UnknownDeviceError(f"it names its host device more than once, by {words}")
    for key, value in given.items():
        if key == "sysfsdev":
            return _of_sysfs(Path(value), sysfs)
        if key == "vhostdev":
            return _of_char_device(Path(value), sysfs)
        if key != "host":
            return _of_fd(value, peer, sysfs)
        if name := parse_pci(value):
            return Assigned(name)
        raise UnknownDeviceError(f"'{value}' is not a PCI address")
    raise UnknownDeviceError("it names no host device by host=, sysfsdev=, vhostdev= or fd=")


async def assigned_now(session: Asks, pid: int | None, sysfs: Path) -> tuple[Assigned, ...]:
    """Return the host devices that QEMU holds now.

    Asks QEMU for its vfio and vhost-vdpa devices, and adds what its open descriptors show: a
    vDPA network backend of the command line is no object that could be asked for.

    :param pid: QEMU's; None when it is not known.
    :raise GlueError: QEMU did not answer.
    :raise UnknownDeviceError: it has one that cannot be named, or its descriptors are not to be
        seen.
    """
    held = _held_by(pid, sysfs)
    return await asked_for(session, sysfs, held)


async def asked_for(
    session: Asks, sysfs: Path, held: Iterable[Assigned] = ()
) -> tuple[Assigned, ...]:
    """Return *held*, and the vfio and vhost-vdpa devices that QEMU names when asked.

    :raise GlueError: QEMU did not answer.
    :raise UnknownDeviceError: one cannot be named, and nothing is held.
    """
    found = set(held)
    known = bool(found)
    listed = [session.execute("qom-list", {"path": container}) for container in _CONTAINERS]
    for container, entries in zip(_CONTAINERS, await asyncio.gather(*listed), strict=True):
        for entry in entries:
            kind = str(entry.get("type", ""))
            kind = kind.removeprefix("child<").removesuffix(">")
            if not kind.startswith(("vfio-", "vhost-vdpa-")):
                continue
            row = drivers.TABLE.find(kind)
            if row and row.judge is not Judge.ASSIGN:
                continue
            path = f"{container}/{entry['name']}"
            device = await _ask_device(session, path, sysfs)
            if device:
                found.add(device)
            elif not known:
                raise UnknownDeviceError(f"which host device '{entry['name']}' is cannot be told")
    return tuple(sorted(found))


async def _ask_device(session: Asks, path: str, sysfs: Path) -> Assigned | None:
    for name in ("sysfsdev", "host", "vhostdev"):
        value = await session.get(path, name)
        if not isinstance(value, str) or not value:
            continue
        try:
            return named_by({name: value}, Peer(), sysfs)
        except UnknownDeviceError:
            continue
    return None


def _held_by(pid: int | None, sysfs: Path) -> set[Assigned]:
    """Return what QEMU's open descriptors show."""
    if pid is None:
        raise UnknownDeviceError("which process is QEMU's, and so what it holds, cannot be told")
    found = set()
    try:
        entries = list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError as exc:
        raise UnknownDeviceError(
            f"what QEMU (process {pid}) holds is not to be seen: {exc.strerror}"
        ) from None
    for entry in entries:
        try:
            target, rdev = str(entry.readlink()), entry.stat().st_rdev
        except FileNotFoundError:
            continue
        except OSError as exc:
            raise UnknownDeviceError(f"{entry}: {exc.strerror}") from None
        if target.startswith(_HELD) and target != "/dev/vfio/vfio":
            found.add(_of_open_file(PassedFd(target, rdev), sysfs))
    return found


def _of_sysfs(path: Path, sysfs: Path) -> Assigned:
    """Walk up from a device's folder to the one that is in an IOMMU group."""
    parts = path.parts
    if parts[:2] == ("/", "sys"):
        path = sysfs.joinpath(*parts[2:])
    name = path.name
    if not path.exists():
        # Facts may come from another place than this sysfs: the name has to do.
        if pci := parse_pci(name):
            return Assigned(pci)
        raise UnknownDeviceError(f"{path} does not exist")
    folder = path.resolve()
    while folder != folder.parent and folder != sysfs.resolve():
        link = folder / "iommu_group"
        if link.exists():
            return Assigned(folder.name, link.resolve().name)
        folder = folder.parent
    if pci := parse_pci(name):
        return Assigned(pci)
    raise UnknownDeviceError(f"{path} is in no IOMMU group")


def _of_char_device(path: Path, sysfs: Path) -> Assigned:
    try:
        rdev = path.stat().st_rdev
    except OSError as exc:
        # A service without devices in /dev still finds it in sysfs.
        known = sysfs / "class" / "vhost-vdpa" / path.name / "device"
        if known.exists():
            return _of_sysfs(known.resolve(), sysfs)
        raise UnknownDeviceError(f"{path}: {exc.strerror}") from None
    return _of_open_file(PassedFd(str(path), rdev), sysfs)


def _of_fd(text: str, peer: Peer, sysfs: Path) -> Assigned:
    """Look a descriptor up: a name is getfd's, a number QEMU's own (``monitor_fd_param()``)."""
    if text in peer.passed:
        return _of_open_file(peer.passed[text], sysfs)
    if not text.isdigit():
        raise UnknownDeviceError(f"descriptor '{text}' was not passed through the guard")
    entry = Path(f"/proc/{peer.pid}/fd/{text}")
    try:
        return _of_open_file(PassedFd(str(entry.readlink()), entry.stat().st_rdev), sysfs)
    except OSError as exc:
        raise UnknownDeviceError(f"descriptor {text} of QEMU: {exc.strerror}") from None


def _of_open_file(file: PassedFd, sysfs: Path) -> Assigned:
    group = _GROUP_FILE.match(file.path)
    if group:
        return Assigned("", group[1])
    if not file.rdev:
        raise UnknownDeviceError(f"'{file.path}' is no VFIO or vhost device")
    major, minor = os.major(file.rdev), os.minor(file.rdev)
    device = sysfs / "dev" / "char" / f"{major}:{minor}" / "device"
    if not device.exists():
        raise UnknownDeviceError(f"'{file.path}' ({major}:{minor}) is no device sysfs knows")
    return _of_sysfs(device.resolve(), sysfs)
