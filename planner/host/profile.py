"""The host profile: what the IOMMUs of one host forbid, per group.

Pure data. Readers (sysfs, pasted ``grep`` output, profile files) make it; rules, doorbell and
placement judge by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from planner.findings import Finding, Party
from planner.region import Origin
from planner.span import ADDRESS_LIMIT, Span, SpanSet

__all__ = [
    "BridgeWindow",
    "Device",
    "Group",
    "HostProfile",
    "HostRegion",
    "ReservedType",
    "Scope",
]


class ReservedType(StrEnum):
    """The words Linux prints, ``iommu_group_resv_type_string[]`` in drivers/iommu/iommu.c (7.2).

    Both software and hardware MSI windows print ``msi``. A region keeps the word as it was read, so
    that an unknown one stays visible; it forbids like ``reserved``.
    """

    DIRECT = "direct"
    DIRECT_RELAXABLE = "direct-relaxable"
    RESERVED = "reserved"
    MSI = "msi"


class Scope(StrEnum):
    """Which host regions bind a plan."""

    #: Groups of the devices named, at launch or for hotplug.
    ASSIGNED = "assigned"
    #: Every group, so that any device can be plugged later.
    HOST = "host"


@dataclass(frozen=True, slots=True, order=True)
class HostRegion:
    """One reserved region of a group."""

    span: Span
    #: The word as the kernel printed it, usually a :class:`ReservedType`.
    type: str
    origin: Origin

    @property
    def forbids(self) -> bool:
        """Whether guest memory must stay out.

        ``direct-relaxable`` is skipped by VFIO type1 and iommufd; every other word, also one we do
        not know, is a hole (drivers/vfio/vfio_iommu_type1.c ``vfio_iommu_resv_exclude()``,
        drivers/iommu/iommufd/io_pagetable.c ``iopt_table_enforce_dev_resv_regions()``, 7.2).
        """
        return self.type != ReservedType.DIRECT_RELAXABLE

    def party(self, host: str, *groups: str) -> Party:
        """Return the region of *groups* on a host as one side of a finding."""
        return Party(self.type, self.type, self.span, self.origin, host, groups)


@dataclass(frozen=True, slots=True, order=True)
class Device:
    """A member of an IOMMU group: a PCI function or a platform device."""

    #: PCI address as ``0000:29:00.0``, or a platform device's name.
    name: str
    #: ``0x10de`` as sysfs writes it; empty where there is none.
    vendor: str = ""
    device: str = ""
    #: ``0x030000``: class, subclass, programming interface.
    class_code: str = ""
    driver: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """An IOMMU group and what the kernel reserves in it."""

    #: As sysfs names the directory; a decimal number on every kernel so far.
    id: str
    #: Type of the default domain (``DMA``, ``identity``…); empty when not told.
    type: str
    devices: tuple[Device, ...]
    #: Sorted by (start, type), merged by the kernel's rule.
    regions: tuple[HostRegion, ...]
    #: False when the facts are not the whole truth (cut, empty, unreadable): nothing in the group
    #: may then be taken for usable.
    whole: bool = True
    #: Width of the addresses of the IOMMU units this group's devices are behind, where it is told
    #: for each unit; None takes the host's.
    address_bits: int | None = None

    @property
    def direct(self) -> tuple[HostRegion, ...]:
        """The firmware's 1:1 regions; see :meth:`HostProfile.refuses`."""
        return tuple(region for region in self.regions if region.type == ReservedType.DIRECT)

    @property
    def forbidden(self) -> SpanSet:
        """Every byte VFIO would refuse to map."""
        return SpanSet(region.span for region in self.regions if region.forbids)

    def usable(self, aperture: Span) -> SpanSet:
        """Return the IOVA ranges VFIO type1 would offer; empty when the facts are not whole."""
        return self.forbidden.gaps(aperture) if self.whole else SpanSet()


@dataclass(frozen=True, slots=True, order=True)
class BridgeWindow:
    """A PCI host bridge's memory window; advisory, never a kernel rule.

    A device's DMA to an address that its bridge decodes may be taken for peer-to-peer traffic. The
    bridge decodes bus addresses, which on Arm often differ from the CPU's: see :attr:`aliases`.
    """

    #: CPU addresses, as ``/proc/iomem`` lists them.
    span: Span
    name: str
    origin: Origin
    #: Bus addresses where they are known to differ, of the same size; None takes the CPU's.
    bus: Span | None = None

    @property
    def aliases(self) -> Span:
        """The bus addresses: what an IOVA must not hit to be safe from the bridge."""
        return self.bus or self.span


@dataclass(frozen=True, slots=True)
class HostProfile:
    """What one host forbids."""

    name: str
    #: ``6.1.0-18-amd64`` as uname prints it; empty when unknown.
    kernel: str
    #: ``intel``, ``amd``, ``smmuv3``, ``smmuv2``, ``virtio``, ``none``; empty when unknown.
    iommu: str
    #: Width of the IOMMU's addresses; None when unknown (then 2**64 is assumed and said so).
    address_bits: int | None
    #: In numeric order of the id.
    groups: tuple[Group, ...]
    bridge_windows: tuple[BridgeWindow, ...] = ()
    #: Whether MSIs are isolated or remapped, as far as can be told; None when it cannot.
    isolated_msi: bool | None = None
    #: Page size of the host kernel in bytes; None when unknown.
    page_bytes: int | None = None
    #: Number of MSI doorbells (ITS instances, GICv2m frames); None when unknown.
    doorbells: int | None = None
    #: What was noticed while reading.
    findings: tuple[Finding, ...] = ()
    #: SHA-256 of what was read, hex: a file's bytes, or a tree's facts; empty when nothing was.
    sha256: str = ""
    #: Where the facts come from when they were not read on the host: a public report, a log.
    source: str = ""
    #: True when the regions were worked out from logs or firmware tables instead of being dumped.
    derived: bool = False

    @property
    def aperture(self) -> Span:
        """The addresses every unit can translate, ``[0, 2**address_bits)``."""
        return _aperture(self.address_bits)

    def aperture_of(self, groups: Iterable[Group]) -> Span:
        """Return the addresses that the units of all *groups* can translate.

        Units of one host may differ (an Intel host's graphics unit is often narrower): only those
        count whose devices are meant.
        """
        known = [self.bits_of(group) for group in groups]
        return _aperture(
            min((bits for bits in known if bits is not None), default=self.address_bits)
        )

    def bits_of(self, group: Group) -> int | None:
        """Return the address width that binds *group*; None when it is not known."""
        return self.address_bits if group.address_bits is None else group.address_bits

    def group_of(self, device: str) -> Group | None:
        """Return the group the named device is in, or None."""
        for group in self.groups:
            if any(member.name == device for member in group.devices):
                return group
        return None

    def groups_of(self, devices: Iterable[str]) -> tuple[Group, ...]:
        """Return the groups that the named devices are in, also those the kernel refuses."""
        wanted = set(devices)
        return tuple(g for g in self.groups if any(d.name in wanted for d in g.devices))

    def refuses(self, group: Group) -> bool:
        """Say whether the kernel refuses to assign the group's devices because of ``direct``.

        Linux 6.6 and later refuse on every IOMMU (drivers/iommu/iommu.c
        ``__iommu_device_set_domain()``, ``require_direct``); VT-d always did
        (drivers/iommu/intel/iommu.c, "ineligible for IOMMU domain attach due to platform RMRR
        requirement"). An unknown kernel is taken for a new one.
        """
        if not group.direct:
            return False
        version = re.match(r"(\d+)\.(\d+)", self.kernel)
        old = version is not None and (int(version[1]), int(version[2])) < (6, 6)
        return not old or self.iommu == "intel"

    def groups_in(self, scope: Scope, devices: Iterable[str]) -> tuple[Group, ...]:
        """Return the groups that bind a plan.

        A group whose devices the kernel refuses anyway never binds: no map would help it.
        """
        wanted = set(devices)
        return tuple(
            group
            for group in self.groups
            if not self.refuses(group)
            and (scope is Scope.HOST or any(member.name in wanted for member in group.devices))
        )

    def usable(self, scope: Scope, devices: Iterable[str] = ()) -> SpanSet:
        """Return what every group in scope leaves usable, inside their aperture.

        Nothing is usable where nothing is known: on a host without IOMMU groups, where a group in
        scope is not whole, and for a device that is in no group or that the kernel refuses.
        """
        named = tuple(devices)
        binding = self.groups_in(scope, named)
        if not self.groups or not all(group.whole for group in binding):
            return SpanSet()
        if scope is Scope.ASSIGNED:
            owners = [self.group_of(device) for device in named]
            if any(owner is None or self.refuses(owner) for owner in owners):
                return SpanSet()
        # Groups of one host mostly share their regions, as objects: each set is looked at once.
        distinct = {id(group.regions): group.regions for group in binding}.values()
        forbidden = SpanSet.from_bounds(
            (region.span.start, region.span.end)
            for regions in distinct
            for region in regions
            if region.forbids
        )
        return forbidden.gaps(self.aperture_of(binding))


def _aperture(bits: int | None) -> Span:
    return Span(0, ADDRESS_LIMIT if bits is None else 1 << bits)
