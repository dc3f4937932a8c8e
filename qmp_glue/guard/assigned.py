"""Which host devices a command or a running QEMU means, and the IOMMU groups they are in.

A device is named by PCI address (``host=``), by a sysfs path (``sysfsdev=``), by a character
device (``vhostdev=``), or by a descriptor somebody passed (``fd=``), which is looked at where it
is: in the guard when the client sends it, or in QEMU's own table.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from planner.text.pci import parse_pci
from qmp_glue.asks import Asks
from qmp_glue.guard.values import Json
from qmp_glue.guard.verdicts import CannotJudgeError, PassedFd, Peer

__all__ = ["Assigned", "UnknownDeviceError", "assigned_now", "named_by"]

_GROUP_FILE = re.compile(r"/dev/vfio/(?:noiommu-)?(\d+)\Z")
_HELD = ("/dev/vfio/", "/dev/vhost-vdpa")
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
    given = {key: str(value) for key, value in arguments.items() if value is not None}
    if "sysfsdev" in given:
        return _of_sysfs(Path(given["sysfsdev"]), sysfs)
    if "fd" in given:
        return _of_fd(given["fd"], peer, sysfs)
    if "vhostfd" in given:
        return _of_fd(given["vhostfd"], peer, sysfs)
    if "vhostdev" in given:
        return _of_char_device(Path(given["vhostdev"]), sysfs)
    if "host" in given:
        if name := parse_pci(given["host"]):
            return Assigned(name)
        raise UnknownDeviceError(f"'{given['host']}' is not a PCI address")
    raise UnknownDeviceError("it names no host device by host=, sysfsdev=, vhostdev= or fd=")


async def assigned_now(session: Asks, pid: int | None, sysfs: Path) -> tuple[Assigned, ...]:
    """Return the host devices that QEMU holds now.

    Asks QEMU for its vfio and vhost-vdpa devices, and adds what its open descriptors show, where
    they may be looked at.

    :raise GlueError: QEMU did not answer.
    :raise UnknownDeviceError: it has one that cannot be named.
    """
    held = _held_by(pid, sysfs)
    found: set[Assigned] = set(held)
    listed = [session.execute("qom-list", {"path": container}) for container in _CONTAINERS]
    for container, entries in zip(_CONTAINERS, await asyncio.gather(*listed), strict=True):
        for entry in entries:
            kind = str(entry.get("type", ""))
            if not kind.startswith(("child<vfio-", "child<vhost-vdpa-")):
                continue
            path = f"{container}/{entry['name']}"
            device = await _ask_device(session, path, sysfs)
            if device:
                found.add(device)
            elif not held:
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
    """Return what QEMU's open descriptors show; empty when they may not be looked at."""
    if pid is None:
        return set()
    found = set()
    try:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = str(entry.readlink())
                if target.startswith(_HELD) and target != "/dev/vfio/vfio":
                    found.add(_of_open_file(PassedFd(target, entry.stat().st_rdev), sysfs))
            except (OSError, UnknownDeviceError):
                continue
    except OSError:
        return set()
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
