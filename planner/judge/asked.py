"""What is asked for, judged before there is a map."""

from __future__ import annotations

from itertools import combinations

from planner.findings import Finding
from planner.guest.kernel import ONLINE, UNKNOWN
from planner.judge.kernel import judge_pieces
from planner.machine.asked import Asked
from planner.machine.request import Backend
from planner.span import Span
from planner.units import show_size

__all__ = ["judge_asked"]


def judge_asked(asked: Asked) -> list[Finding]:
    """Judge the devices that nobody can name and the memory that is there twice."""
    found = [
        Finding(
            "MM413",
            f"'{device.words}' does not say which host device it assigns",
            help="name it with host= or sysfsdev=, or add --device",
            loc=device.loc,
        )
        for device in asked.devices
        if not device.host
    ]
    found += _judge_request(asked)
    shared = [backend for backend in asked.backends if backend.shared_file]
    for one, other in combinations(shared, 2):
        same = _window(one).intersection(_window(other))
        if one.shared_file == other.shared_file and same:
            found.append(_aliased(one, other, same))
    return found


def _judge_request(asked: Asked) -> list[Finding]:
    """Judge what the guest makes of its memory devices, as far as the request is known."""
    if isinstance(asked.wanted, Exception):
        return []
    found = [
        Finding(
            "MM211",
            f"'{device.region}' is in NUMA node {device.node}, which has neither CPUs nor boot"
            " memory and is not the last: the guest has no such node and puts it into node 0",
            help="give the node CPUs or boot memory, or the device another node",
        )
        for device in asked.wanted.devices
        if device.node in asked.empty_nodes
    ]
    said = asked.kernel_line
    if said is not None and ONLINE.partition("=")[0] not in said:
        found += judge_pieces(asked.wanted.devices, UNKNOWN)
    return found


def _window(backend: Backend) -> Span:
    """Return the bytes of its file that a backend maps."""
    return Span.sized(backend.offset, backend.size)


def _aliased(one: Backend, other: Backend, same: Span) -> Finding:
    return Finding(
        "MM208",
        f"memory backends '{one.id}' and '{other.id}' share {show_size(same.size)} of"
        f" {one.shared_file}: what the guest writes at one address changes another",
        help="give each a file of its own, or memory without a file"
        " (memory-backend-memfd,share=on)",
    )
