"""What ``hotplug`` and ``guard`` are told alike: whose facts judge, and how strictly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from planner.cli.complete import files
from planner.host.profile import Scope

__all__ = ["judging_options"]

_F = TypeVar("_F", bound=Callable[..., Any])


def judging_options(function: _F) -> _F:
    """Add ``--host``, ``--scope`` and ``--steer``."""
    for option in (
        click.option(
            "--steer/--no-steer",
            default=True,
            help="Choose a safe address where QEMU's own would collide; or refuse.",
        ),
        click.option(
            "--scope",
            type=click.Choice([scope.value for scope in Scope]),
            default=Scope.ASSIGNED.value,
            show_default=True,
            help="Memory must suit the assigned devices' groups, or every group of the host.",
        ),
        click.option(
            "--host",
            default="/sys",
            metavar="PROFILE",
            shell_complete=files,
            help="Host facts. Default: this host's.",
        ),
    ):
        function = option(function)
    return function
