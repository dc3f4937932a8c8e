"""What a host's facts alone say, before any guest: the findings of ``guestmap host``."""

from __future__ import annotations

from collections.abc import Iterable

from planner.findings import Finding
from planner.host.doorbells import doorbell_findings
from planner.host.profile import HostProfile, ReservedType, Scope
from planner.judge.devices import judge_devices, unassignable_groups
from planner.judge.forbidden import bind
from planner.span import Span

__all__ = ["judge_facts", "judge_host"]


def judge_facts(profile: HostProfile) -> list[Finding]:
    """Judge what binds whichever devices are meant: the MSI windows and the address width."""
    found = doorbell_findings(profile) + _unreachable_msi(profile)
    if profile.groups and any(profile.bits_of(group) is None for group in profile.groups):
        found.append(
            Finding(
                "MM313",
                f"the address width of {profile.name}'s IOMMU is not known; 64 bits are assumed",
                "sysfs shows it for Intel only; give --address-bits or write address-bits into the"
                " profile (AMD and Arm servers: mostly 48)",
            )
        )
    return found


def noticed(profile: HostProfile, scope: Scope, devices: Iterable[str]) -> list[Finding]:
    """Return what reading the facts found, as far as it concerns the groups in scope."""
    ids = {group.id for group in profile.groups_of(devices)}
    return [
        finding for finding in profile.findings if scope is Scope.HOST or _concerns(finding, ids)
    ]


def _unreachable_msi(profile: HostProfile) -> list[Finding]:
    """Say where a group reserves what its own MSI window needs.

    Linux puts the Arm window at a fixed place without asking whether the platform can reach it;
    "arm-smmu: Unhandled context fault" at an address below the window's size is how it shows.
    """
    found: dict[tuple[Span, Span], Finding] = {}
    for group in profile.groups:
        windows = [region for region in group.regions if region.type == ReservedType.MSI]
        walls = [region for region in group.regions if region.type == ReservedType.RESERVED]
        for window in windows:
            for wall in walls:
                shared = window.span.intersection(wall.span)
                if shared is None or (window.span, wall.span) in found:
                    continue
                found[window.span, wall.span] = Finding(
                    "MM317",
                    f"msi [{window.span}] of group {group.id} on {profile.name} lies in"
                    f" reserved [{wall.span}]: MSIs written to [{shared}] do not arrive",
                    help="the platform needs a kernel that puts the window elsewhere",
                    parties=(
                        window.party(profile.name, group.id),
                        wall.party(profile.name, group.id),
                    ),
                    overlap=shared,
                )
    return list(found.values())


def judge_host(
    profile: HostProfile, scope: Scope = Scope.HOST, devices: Iterable[str] = ()
) -> tuple[Finding, ...]:
    """Judge a host: what was noticed while reading, and what follows from the facts.

    In scope ``assigned`` what was noticed about other groups than the devices' is left out.

    :param devices: host devices somebody wants to assign.
    """
    wanted = tuple(devices)
    found = noticed(profile, scope, wanted) + judge_facts(profile)
    binding = bind([profile], scope, wanted)
    found += judge_devices(binding)
    if scope is Scope.HOST:
        found += unassignable_groups(binding)
    if profile.isolated_msi is False and not wanted:
        found.append(
            Finding(
                "MM309",
                f"{profile.name} does not isolate interrupts",
                "VFIO refuses devices there unless allow_unsafe_interrupts is set, and then a guest"
                " can raise any interrupt of the host",
            )
        )
    return tuple(sorted(found, key=Finding.sort_key))


def _concerns(finding: Finding, ids: set[str]) -> bool:
    named = {id_ for party in finding.parties for id_ in party.groups}
    return not named or bool(named & ids)
