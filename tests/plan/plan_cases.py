"""Plan a layout given as text, against shipped or hand-made hosts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from conftest import ROOT

from planner.documents.plan import plan_json
from planner.host.profile import HostProfile
from planner.host.read import read_host, read_profile_bytes
from planner.layout.load import load
from planner.place.plan import Plan, make_plan


def plan_of_text(text: str, hosts: Sequence[HostProfile] | None = None) -> Plan:
    layout, findings = load(text.encode(), "layouts/case.yaml")
    assert layout is not None, findings
    if hosts is None:
        hosts = [read_host(ROOT / "layouts" / name) for name in layout.hosts]
    return make_plan(layout, hosts, {})


def plan_text_of(text: str, hosts: Sequence[HostProfile] | None = None) -> dict[str, Any]:
    return plan_json(plan_of_text(text, hosts))


def shipped(name: str) -> HostProfile:
    file = f"layouts/hosts/{name}.yaml"
    return read_profile_bytes((ROOT / file).read_bytes(), file)
