"""Every rule over one finished map: what ``plan`` and ``check`` say alike."""

from __future__ import annotations

from collections.abc import Mapping

from planner.findings import Finding
from planner.guest.kernel import UNKNOWN, Guest
from planner.judge.devices import judge_devices, unassignable_groups
from planner.judge.forbidden import Binding
from planner.judge.guest import judge_guest
from planner.judge.host import judge_facts, noticed
from planner.judge.kernel import judge_kernel
from planner.judge.ram import judge_ram, relaxable_covered
from planner.judge.windows import judge_windows
from planner.region import GuestMap, Loc

__all__ = ["judge_hosts", "judge_map"]


def judge_hosts(binding: Binding, locs: Mapping[str, Loc | None] | None = None) -> list[Finding]:
    """Judge the hosts and the devices named, before any map.

    :param locs: where each device is named.
    """
    found = [
        finding
        for host in binding.hosts
        for finding in (*noticed(host, binding.scope, binding.devices), *judge_facts(host))
    ]
    return [*found, *judge_devices(binding, dict(locs or {})), *unassignable_groups(binding)]


def judge_map(guest: GuestMap, binding: Binding, kernel: Guest = UNKNOWN) -> list[Finding]:
    """Judge a map against what binds it, and against what its guest makes of it."""
    return [
        *judge_ram(guest, binding),
        *judge_windows(guest, binding),
        *judge_guest(guest, binding),
        *judge_kernel(guest, kernel),
        *relaxable_covered(guest, binding),
    ]
