"""The hosts and host devices that a command line names."""

from __future__ import annotations

import re
from pathlib import Path

import click

from planner.cli.exits import UnreadableError
from planner.host.profile import HostProfile
from planner.host.read import HostUnreadableError, read_host

__all__ = ["device_names", "read_facts"]

_SHORT_BDF = re.compile(r"[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-7]\Z")


def read_facts(path: str | Path) -> HostProfile:
    """Read a host's facts: a profile, a pasted dump or a sysfs tree.

    :raise UnreadableError: there is nothing to read.
    """
    try:
        return read_host(path)
    except HostUnreadableError as error:
        raise UnreadableError(str(error)) from error


def device_names(
    _ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]
) -> tuple[str, ...]:
    """Write PCI addresses as sysfs does; other names are platform devices."""
    return tuple(
        f"0000:{name.lower()}" if _SHORT_BDF.match(name) else name for name in dict.fromkeys(value)
    )
