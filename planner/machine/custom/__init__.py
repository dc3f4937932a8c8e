"""A board or VMM that the layout draws itself, region by region."""

from __future__ import annotations

from planner.machine.family import Family

__all__ = ["BOOT_BASE", "CUSTOM", "FAMILIES"]

#: Option of a request for this machine: where boot memory starts, chosen by ``variants``.
BOOT_BASE = "boot-base"

CUSTOM = Family(name="custom")
FAMILIES = {CUSTOM.name: CUSTOM}
