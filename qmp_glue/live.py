"""A running QEMU by its address, for code that is not asynchronous."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from planner.region import GuestMap
from qmp_glue.addresses import MonitorAddress
from qmp_glue.asks import Asks
from qmp_glue.reading import read_map
from qmp_glue.session import Session

__all__ = ["at_monitor", "live_map"]

_T = TypeVar("_T")


def at_monitor(address: MonitorAddress, job: Callable[[Asks], Awaitable[_T]]) -> _T:
    """Open the monitor at *address*, let *job* ask, and close it.

    :param address: libvirt's only where the job changes nothing.
    :raise GlueError: nobody answers there, or not as a QEMU does.
    """
    return asyncio.run(_at(address, job))


async def _at(address: MonitorAddress, job: Callable[[Asks], Awaitable[_T]]) -> _T:
    if address.domain:
        from qmp_glue.libvirt import LibvirtMonitor  # noqa: PLC0415  # rarely needed

        return await job(await LibvirtMonitor.open(address.domain))
    async with await Session.open(address) as session:
        return await job(session)


def live_map(address: MonitorAddress) -> GuestMap:
    """Read the map of the QEMU at *address*; the guest does not notice.

    :raise GlueError: as :func:`at_monitor`.
    """
    return at_monitor(address, lambda asks: read_map(asks, "live"))
