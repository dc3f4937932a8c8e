"""The map of a running QEMU. It is asked, never told: the guest does not notice."""

from __future__ import annotations

from planner.region import GuestMap
from qmp_glue.reading import read_map
from qmp_glue.session import Session, parse_address, run

__all__ = ["live_map"]


def live_map(address: str) -> GuestMap:
    """Read the map of the QEMU whose monitor is at *address*.

    :param address: ``unix:PATH`` or ``HOST:PORT``.
    :raise ValueError: that is not an address.
    :raise GlueError: nobody answers there, or not as a QEMU does.
    """
    return run(_read(parse_address(address), address))


async def _read(address: str | tuple[str, int], shown: str) -> GuestMap:
    async with await Session.open(address, shown) as session:
        return await read_map(session, "live")
