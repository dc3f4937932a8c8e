"""The hosts that a command line names."""

from __future__ import annotations

from pathlib import Path

from planner.cli.exits import UnreadableError
from planner.host.profile import HostProfile
from planner.host.read import HostUnreadableError, read_host

__all__ = ["read_facts"]


def read_facts(path: str | Path) -> HostProfile:
    """Read a host's facts: a profile, a pasted dump or a sysfs tree.

    :raise UnreadableError: there is nothing to read.
    """
    try:
        return read_host(path)
    except HostUnreadableError as error:
        raise UnreadableError(str(error)) from error
