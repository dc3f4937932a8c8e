"""Devices and groups: what no memory map can mend.

``direct`` regions are firmware's 1:1 mappings (Intel RMRR, AMD IVMD, Arm RMR). Linux refuses to
hand such a device to VFIO: from 6.6 on every IOMMU with "Firmware has requested this device have a
1:1 IOMMU mapping, rejecting configuring the device without a 1:1 mapping" (EINVAL), before that on
VT-d with "Device is ineligible for IOMMU domain attach due to platform RMRR requirement" (EPERM).
"""

from __future__ import annotations

from planner.findings import Finding, Party, Severity
from planner.host.profile import Group, HostProfile
from planner.judge.forbidden import Binding, groups_words, shorten
from planner.region import Loc

__all__ = ["judge_devices", "unassignable_groups"]

_TABLE = {"intel": "DMAR (RMRR)", "amd": "IVRS (IVMD)", "smmuv3": "IORT (RMR)"}
_FIRMWARE = {
    "intel": "look in the firmware setup for 'RMRR', 'shared memory' or the vendor's tool that"
    " excludes a slot (HPE: conrep/ilorest)",
    "amd": "look in the firmware setup for 'Pre-boot DMA Protection' or 'Kernel DMA Protection"
    " Indicator' and switch it off",
}


def judge_devices(binding: Binding, locs: dict[str, Loc | None] | None = None) -> list[Finding]:
    """Judge the devices that are named.

    :param locs: where the layout names each device.
    """
    places = locs or {}
    found: list[Finding] = []
    for device in binding.devices:
        owners = [host for host in binding.hosts if host.group_of(device)]
        absent = [host for host in binding.hosts if not host.group_of(device)]
        found += [_unknown(device, host, places.get(device), fatal=not owners) for host in absent]
        for host in owners:
            group = host.group_of(device)
            if group and host.refuses(group):
                found.append(_unassignable(device, group, host, places.get(device)))
            if group and host.isolated_msi is False:
                found.append(_not_isolated(device, host, places.get(device)))
    return found


def unassignable_groups(binding: Binding) -> list[Finding]:
    """List the groups that cannot be assigned and that nobody asked for."""
    return [
        _listed(refused, host)
        for host in binding.hosts
        if (
            refused := [
                group
                for group in host.groups
                if host.refuses(group) and not any(d.name in binding.devices for d in group.devices)
            ]
        )
    ]


def _unknown(device: str, host: HostProfile, loc: Loc | None, *, fatal: bool) -> Finding:
    known = [member.name for group in host.groups for member in group.devices]
    if fatal and known:
        help_text = f"devices in groups of {host.name}: {shorten(known)}"
    elif known:
        help_text = "every group of that host binds instead"
    else:
        fatal = False
        help_text = f"the profile of {host.name} names no devices; every group of it binds instead"
    return Finding(
        "MM310",
        f"{device} is in no IOMMU group of {host.name}",
        help=help_text,
        parties=(Party(device, "device", host=host.name),),
        loc=loc,
        level=None if fatal else Severity.NOTE,
    )


def _unassignable(device: str, group: Group, host: HostProfile, loc: Loc | None) -> Finding:
    regions = ", ".join(f"[{region.span}]" for region in group.direct)
    new = (
        "Firmware has requested this device have a 1:1 IOMMU mapping, rejecting configuring the"
        " device without a 1:1 mapping"
    )
    old = "Device is ineligible for IOMMU domain attach due to platform RMRR requirement"
    notes = [f'Linux 6.6 and later say: "{new}"']
    if host.iommu in ("intel", ""):
        notes.append(f'VT-d on older kernels says: "{old}"')
    if any(region.span.start == 0 and region.span.end == 0x100_0000 for region in group.direct):
        notes.append(
            "0x0-0xffffff direct is the ISA bridge's floppy workaround of Linux before 5.5"
            " (CONFIG_INTEL_IOMMU_FLOPPY_WA), direct-relaxable since: a newer kernel may do"
        )
    where = _TABLE.get(host.iommu, "ACPI or devicetree")
    return Finding(
        "MM403",
        f"{device} cannot be assigned on {host.name}: group {group.id} has direct {regions} from"
        f" the firmware's {where}; no memory map helps",
        help=_FIRMWARE.get(host.iommu, "ask the platform's vendor for firmware without that region")
        + "; the cure shows as the direct line's absence from reserved_regions",
        parties=(
            Party(device, "device", host=host.name, groups=(group.id,)),
            *(region.party(host.name, group.id) for region in group.direct),
        ),
        loc=loc,
        notes=tuple(notes),
    )


def _not_isolated(device: str, host: HostProfile, loc: Loc | None) -> Finding:
    return Finding(
        "MM309",
        f"{host.name} does not isolate interrupts: VFIO refuses {device} with EPERM",
        help="on such hosts load vfio_iommu_type1 (or iommufd) with allow_unsafe_interrupts=1,"
        " knowing that the guest can then raise any interrupt; this is no matter of the map",
        parties=(Party(device, "device", host=host.name),),
        loc=loc,
    )


def _listed(refused: list[Group], host: HostProfile) -> Finding:
    names = tuple(group.id for group in refused)
    devices = tuple(member.name for group in refused for member in group.devices)
    return Finding(
        "MM407",
        f"{groups_words(names)} on {host.name} cannot be assigned (direct regions) and do not bind"
        " the plan",
        help="nothing needs doing unless one of their devices is wanted",
        parties=(Party("direct regions", "direct", host=host.name, groups=names, devices=devices),),
    )
