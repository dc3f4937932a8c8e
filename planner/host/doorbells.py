"""The room MSI doorbells need.

On Arm the kernel maps every doorbell that a domain's devices use into the host's MSI window, one
page of the host kernel for each distinct doorbell page, in order from the window's base, and does
not check the window's end (``cookie_msi_granule()`` and ``iommu_dma_get_msi_page()`` in
drivers/iommu/dma-iommu.c, 7.2). So a host with more doorbells than fit runs past the window. x86
has nothing to map: its 1 MiB window is the architecture's.
"""

from __future__ import annotations

from planner.findings import Finding, Party, Severity
from planner.host.profile import Group, HostProfile, HostRegion, ReservedType
from planner.host.reserved import groups_words
from planner.span import MIB, Span, align_up
from planner.units import show_size

__all__ = [
    "SOFTWARE_MSI",
    "capacity",
    "doorbell_findings",
    "software_window",
    "window_size",
]

#: ``MSI_IOVA_BASE`` and ``MSI_IOVA_LENGTH`` of the Arm SMMU drivers and virtio-iommu, which no
#: kernel up to 7.2 can move (drivers/iommu/arm/arm-smmu/arm-smmu.c, arm-smmu-v3.c, virtio-iommu.c).
SOFTWARE_MSI = Span.sized(0x0800_0000, MIB)

#: Distinct doorbell pages that one iommufd holds: ``DECLARE_BITMAP(bitmap, 64)``, 7.2.
IOMMUFD_DOORBELLS = 64

#: The page size that is assumed when a host's is not known: the largest, which needs most room.
LARGEST_PAGE = 65536


def window_size(doorbells: int, page_bytes: int) -> int:
    """Return the bytes an MSI window needs: a page for each doorbell, in whole MiB, 1 MiB at least.

    >>> window_size(1, 4096) == MIB, window_size(17, 65536) == 2 * MIB
    (True, True)
    """
    return max(MIB, align_up(doorbells * page_bytes, MIB))


def capacity(window_bytes: int, page_bytes: int) -> int:
    """Return how many doorbell pages a window holds: 256, 64 or 16 for 1 MiB and 4, 16, 64 KiB."""
    return window_bytes // page_bytes


def software_window(group: Group) -> HostRegion | None:
    """Return the group's software MSI window, None when it has none (x86)."""
    for region in group.regions:
        if region.type == ReservedType.MSI and region.span.contains(SOFTWARE_MSI):
            return region
    return None


def doorbell_findings(
    profile: HostProfile, doorbells: int | None = None, page_bytes: int | None = None
) -> list[Finding]:
    """Judge the host's MSI windows: too many doorbells (MM311), two kinds in a group (MM312).

    :param doorbells: overrides the profile's number.
    :param page_bytes: overrides the profile's; where neither is known the largest is assumed.
    """
    doorbells = profile.doorbells if doorbells is None else doorbells
    page = page_bytes or profile.page_bytes or LARGEST_PAGE
    with_window = [group for group in profile.groups if software_window(group)]
    findings: list[Finding] = []
    if with_window and doorbells is not None:
        findings += _overflow(profile.name, with_window, doorbells, page)
    both = [group for group in with_window if _hardware_window(group)]
    if both:
        findings.append(_two_kinds(profile.name, both))
    return findings


def _hardware_window(group: Group) -> bool:
    """Say whether MSI regions cover more than the software window, which only hardware adds."""
    return any(
        region.type == ReservedType.MSI and not SOFTWARE_MSI.contains(region.span)
        for region in group.regions
    )


def _overflow(host: str, groups: list[Group], doorbells: int, page: int) -> list[Finding]:
    ids = tuple(group.id for group in groups)
    party = Party("software MSI window", "msi", SOFTWARE_MSI, host=host, groups=ids)
    need, holds = doorbells * page, capacity(SOFTWARE_MSI.size, page)
    if doorbells > holds:
        past = Span(SOFTWARE_MSI.end, SOFTWARE_MSI.start + need)
        return [
            Finding(
                "MM311",
                f"{doorbells} doorbells need {show_size(need)} in pages of {show_size(page)}, but"
                f" the MSI window [{SOFTWARE_MSI}] of {groups_words(ids)} on {host} holds {holds}",
                f"keep guest memory out of [{past}] too; a domain with few devices may use fewer"
                " doorbells, and iommufd refuses instead of running past the window",
                (party,),
                overlap=past,
            )
        ]
    if doorbells > IOMMUFD_DOORBELLS:
        return [
            Finding(
                "MM311",
                f"{doorbells} doorbells are more than the {IOMMUFD_DOORBELLS} that one iommufd"
                f" holds, though the MSI window [{SOFTWARE_MSI}] of {groups_words(ids)} on {host}"
                f" has room for {holds}",
                "assign devices behind at most 64 doorbells to one guest, or use VFIO type1",
                (party,),
                level=Severity.NOTE,
            )
        ]
    return []


def _two_kinds(host: str, groups: list[Group]) -> Finding:
    ids = tuple(group.id for group in groups)
    hardware = [
        region
        for region in groups[0].regions
        if region.type == ReservedType.MSI and not SOFTWARE_MSI.contains(region.span)
    ]
    shown = ", ".join(f"[{region.span}]" for region in hardware)
    return Finding(
        "MM312",
        f"{groups_words(ids)} on {host} lists the software MSI window [{SOFTWARE_MSI}] and the"
        f" hardware MSI window {shown}",
        "both are forbidden to guest memory; VFIO type1 uses the hardware window, iommufd refuses"
        " a device with both, so assign it through VFIO type1",
        tuple(
            Party(f"msi {span}", "msi", span, host=host, groups=ids)
            for span in (SOFTWARE_MSI, *(region.span for region in hardware))
        ),
    )
