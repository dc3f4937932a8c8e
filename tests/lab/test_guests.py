"""Planned guests, booted: the memory they use is what their plan promised."""

from __future__ import annotations

from pathlib import Path

import pytest
from kit import ROOT
from labkit import MissingError
from labkit.guests import Booted, boot_guest

from planner.guest.kernel import ONLINE
from planner.span import GIB, MIB

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.xdist_group("lab")]


def booted(layout: Path, *hosts: str, kernel: str, parameter: str = "") -> Booted:
    try:
        return boot_guest(layout, hosts, kernel, parameter)
    except MissingError as error:
        pytest.skip(f"THE LAB DID NOT RUN: {error}")


def test_the_arm_guest_of_the_readme_has_its_memory_with_the_parameter() -> None:
    layout = ROOT / "layouts/arm-guest-on-amd.yaml"
    without = booted(layout, kernel="6.12")
    with_it = booted(layout, kernel="6.12", parameter=ONLINE)
    (piece,) = without.pieces
    assert piece == (4 * GIB, 1152 * MIB)
    assert without.plan["guest"]["kernel_parameter"] == ONLINE
    # The driver plugs a gigabyte that nobody onlines.
    assert without.state(4 * GIB, GIB) == "offline"
    assert without.said["total"] < 3 * GIB
    assert with_it.state(*piece) == "online"
    assert 4 * GIB - with_it.said["total"] < 128 * MIB
