"""A board or VMM that the layout draws itself, region by region."""

from __future__ import annotations

from planner.machine.family import Family

__all__ = ["CUSTOM", "FAMILIES"]

CUSTOM = Family(name="custom")
FAMILIES = {CUSTOM.name: CUSTOM}
