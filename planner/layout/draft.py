"""A layout to start from: commented, canonical, and without errors when it is read back."""

from __future__ import annotations

from dataclasses import dataclass, field

from planner.host.profile import Group, HostProfile
from planner.layout.schema import SCHEMA_ID
from planner.machine.asked import Asked
from planner.text.spelling import spell
from planner.units import show_size

__all__ = ["Draft", "candidates", "draft_of", "write_draft"]

#: Base class byte of PCI bridges (PCI Code and ID Assignment 1.16, class 06h); nobody assigns one.
_BRIDGE = "0x06"


@dataclass(frozen=True, slots=True)
class Draft:
    """What is known of the guest."""

    name: str
    machine: str
    memory_bytes: int
    version: str = ""
    cpu: str = ""
    options: dict[str, str] = field(default_factory=dict)
    max_bytes: int | None = None
    slots: int | None = None
    address_bits: int | None = None
    devices: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    #: Where it comes from, for the comment at the top.
    source: str = ""
    #: What could not be taken over, in words.
    remarks: tuple[str, ...] = ()


def draft_of(asked: Asked, name: str, source: str) -> Draft:
    """Take over what is asked for; memory devices become part of the memory at launch.

    :raise MachineRefusedError: QEMU would refuse it.
    :raise NotModelledError: it asks for what the tables do not know.
    """
    request = asked.request
    options = {**request.options, **request.globals}
    unnamed = any(not device.host for device in asked.devices)
    return Draft(
        name,
        request.type,
        request.boot_bytes + sum(device.size for device in request.devices),
        version=request.version,
        cpu=request.cpu,
        options={key: value for key, value in options.items() if value},
        max_bytes=request.max_bytes or None,
        slots=request.slots or None,
        address_bits=request.address_bits,
        devices=tuple(asked.places),
        source=source,
        remarks=("devices given by file descriptor",) if unnamed else (),
    )


def size_text(size_bytes: int) -> str:
    """Write a size as a layout has it: ``4GiB``, ``1536MiB``."""
    text = show_size(size_bytes).replace(" ", "")
    if "." not in text and not text.endswith(("byte", "bytes")):
        return text
    for shift, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size_bytes % (1 << shift) == 0:
            return f"{size_bytes >> shift}{unit}"
    return str(size_bytes)


def write_draft(draft: Draft, profile: HostProfile | None = None) -> str:
    """Return the text of a layout.

    :param profile: the host the devices are of, for what the comments say about them.
    """
    lines = [f"# yaml-language-server: $schema={SCHEMA_ID}", "#"]
    lines.append(f"# {draft.source}" if draft.source else "# A layout to start from.")
    lines += [f"# Not taken over: {remark}" for remark in draft.remarks]
    lines += ["schema: 1", f"name: {draft.name}", f"machine: {{{_machine(draft)}}}"]
    memory = f"size: {size_text(draft.memory_bytes)}"
    if draft.max_bytes is not None and draft.max_bytes > draft.memory_bytes:
        memory += f", max: {size_text(draft.max_bytes)}"
        if draft.slots:
            memory += f", slots: {draft.slots}"
    else:
        lines.append("# For memory to be plugged later, add max: and slots:")
    lines.append(f"memory: {{{memory}}}")
    lines.append(
        "# host: every device of the host may be plugged later; assigned: only those named"
    )
    lines.append("reserve: host")
    lines += _devices(draft, profile)
    if draft.hosts:
        lines.append(f"hosts: [{', '.join(map(spell, draft.hosts))}]")
    else:
        lines.append("# Plan against other hosts too: profiles written by 'guestmap host -o'")
        lines.append("# hosts: [hosts/other.yaml]")
    return "\n".join(lines) + "\n"


def _machine(draft: Draft) -> str:
    parts = [f"type: {draft.machine}"]
    if draft.version:
        parts.append(f'version: "{draft.version}"')
    if draft.cpu:
        parts.append(f"cpu: {spell(draft.cpu)}")
    if draft.options:
        inner = ", ".join(f"{spell(k)}: {spell(v)}" for k, v in sorted(draft.options.items()))
        parts.append(f"options: {{{inner}}}")
    if draft.address_bits is not None:
        parts.append(f"address-bits: {draft.address_bits}")
    return ", ".join(parts)


def _devices(draft: Draft, profile: HostProfile | None) -> list[str]:
    if not draft.devices:
        return [
            "# Host devices assigned at launch, and those to fit later:",
            '# devices: [{host: "0000:29:00.0"}]',
            '# hotplug: {devices: ["0000:2a:00.0"]}',
        ]
    lines = ["devices:"]
    for device in draft.devices:
        remark = _remark(device, profile)
        lines += [f"  # {remark}"] if remark else []
        lines.append(f'  - {{host: "{device}"}}')
    if len(draft.devices) == 1 and len(lines) == 2:
        return [f'devices: [{{host: "{draft.devices[0]}"}}]']
    return lines


def _remark(device: str, profile: HostProfile | None) -> str:
    if profile is None:
        return ""
    group = profile.group_of(device)
    if group is None:
        return f"in no IOMMU group of {profile.name}"
    if profile.refuses(group):
        return f"group {group.id}: firmware wants a 1:1 region, so the kernel will refuse it"
    others = [member.name for member in group.devices if member.name != device]
    with_others = f", shared with {', '.join(others[:4])}" if others else ""
    return f"group {group.id}{with_others}"


def candidates(profile: HostProfile) -> list[tuple[str, Group, str]]:
    """Return the devices that could be assigned: name, group, and what speaks against it."""
    listed: list[tuple[str, Group, str]] = []
    for group in profile.groups:
        refused = "firmware wants a 1:1 region" if profile.refuses(group) else ""
        unknown = "" if group.whole else "what it reserves is not known"
        listed += [
            (device.name, group, refused or unknown)
            for device in group.devices
            if not device.class_code.startswith(_BRIDGE)
        ]
    return listed
