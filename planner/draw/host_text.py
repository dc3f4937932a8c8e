"""A host's facts as text for people: one block for each distinct set of reserved regions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from planner.documents.host import msi_window_bytes
from planner.draw.paint import Paint, plain
from planner.host.doorbells import LARGEST_PAGE, SOFTWARE_MSI, capacity, software_window
from planner.host.profile import Device, Group, HostProfile, Scope
from planner.host.reserved import groups_words
from planner.span import Span, SpanSet
from planner.units import show_size

__all__ = ["draw_host"]

_IOMMU = {
    "intel": "Intel VT-d",
    "amd": "AMD-Vi",
    "smmuv3": "Arm SMMUv3",
    "smmuv2": "Arm SMMUv2",
    "virtio": "virtio-iommu",
    "none": "no IOMMU",
    "": "IOMMU of unknown kind",
}


def draw_host(
    profile: HostProfile,
    scope: Scope = Scope.HOST,
    devices: Sequence[str] = (),
    *,
    paint: Paint = plain,
) -> list[str]:
    """Return the host as lines of text.

    In scope ``assigned`` only the groups of *devices* are shown.

    :param paint: called with a text and ``bold`` or ``hole``.
    """
    groups = profile.groups_of(devices) if scope is Scope.ASSIGNED else profile.groups
    lines = [*_head(profile, paint)]
    for members in _alike(profile, groups):
        lines += ["", *_block(profile, members, paint)]
    lines += ["", *_usable(profile, scope, devices)]
    if any(software_window(group) for group in groups):
        lines += ["", *_msi(profile)]
    if profile.bridge_windows:
        lines += ["", "PCI host bridge windows (advisory):"]
        for window in profile.bridge_windows:
            bus = f"  bus {window.bus}" if window.bus else ""
            lines.append(f"  {_range(window.span)}  {window.name}{bus}")
    return lines


def _head(profile: HostProfile, paint: Paint) -> Iterator[str]:
    facts = [f"kernel {profile.kernel}"] if profile.kernel else []
    facts.append(_IOMMU.get(profile.iommu, profile.iommu))
    if profile.groups:
        bits = profile.address_bits
        facts.append("address bits unknown" if bits is None else f"{bits} address bits")
        count = len(profile.groups)
        facts.append("1 group" if count == 1 else f"{count} groups")
    yield f"{paint(profile.name, 'bold')}: {', '.join(facts)}"
    if profile.source:
        how = "derived from" if profile.derived else "from"
        yield f"{how} {profile.source}"


def _alike(profile: HostProfile, groups: Iterable[Group]) -> list[list[Group]]:
    """Put groups together that reserve the same, in order of their first."""
    alike: dict[tuple[object, ...], list[Group]] = {}
    for group in groups:
        regions = tuple((region.span, region.type) for region in group.regions)
        key = (regions, group.whole, group.address_bits, profile.refuses(group))
        alike.setdefault(key, []).append(group)
    return list(alike.values())


def _block(profile: HostProfile, members: list[Group], paint: Paint) -> Iterator[str]:
    first = members[0]
    title = groups_words([group.id for group in members])
    if first.address_bits is not None:
        title += f", {first.address_bits} address bits"
    if profile.refuses(first):
        title += ": cannot be assigned"
    yield paint(title, "bold")
    for group in members:
        for device in group.devices:
            yield "  " + _device(group, device, alone=len(members) == 1)
    rows = [(region.span, region.type) for region in first.regions]
    yield from _rows("reserved", rows, "not known", paint)
    if first.whole:
        usable = first.usable(profile.aperture_of([first]))
        yield from _rows("usable", [(span, "") for span in usable], "nothing", plain)
    else:
        yield "  usable    nothing, because what is reserved is not wholly known"


def _device(group: Group, device: Device, *, alone: bool) -> str:
    facts = [device.name]
    if device.vendor:
        facts.append(f"{device.vendor.removeprefix('0x')}:{device.device.removeprefix('0x')}")
    if device.class_code:
        facts.append(f"class {device.class_code.removeprefix('0x')}")
    if device.driver:
        facts.append(device.driver)
    if not alone:
        facts.append(f"(group {group.id})")
    return "  ".join(facts)


def _rows(title: str, rows: Sequence[tuple[Span, str]], none: str, paint: Paint) -> Iterator[str]:
    if not rows:
        yield f"  {title:<8}  {none}"
    for number, (span, word) in enumerate(rows):
        row = f"{_range(span)}  {word}".rstrip()
        yield f"  {title if number == 0 else '':<8}  {paint(row, 'hole')}"


def _range(span: Span) -> str:
    return f"{span.start:#018x}-{span.last:#018x}  {show_size(span.size):>22}"


def _usable(profile: HostProfile, scope: Scope, devices: Sequence[str]) -> Iterator[str]:
    whose = f"all of {', '.join(devices)}" if scope is Scope.ASSIGNED else "every group"
    left: SpanSet = profile.usable(scope, devices)
    yield f"usable for {whose}:" + ("" if left else " nothing")
    for span in left:
        yield f"  {_range(span)}"


def _msi(profile: HostProfile) -> Iterator[str]:
    page = profile.page_bytes or LARGEST_PAGE
    assumed = "" if profile.page_bytes else " (largest; page size unknown)"
    holds = f"{capacity(SOFTWARE_MSI.size, page)} doorbells in pages of {show_size(page)}"
    yield f"MSI window [{SOFTWARE_MSI}]: holds {holds}{assumed}"
    if profile.doorbells is not None:
        need = show_size(msi_window_bytes(profile))
        yield f"  for {profile.doorbells} a window of {need} is needed"
