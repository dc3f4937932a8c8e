"""What the guest itself makes of a plan's pieces: asked of its agent, and brought online by it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace

from planner.findings import Finding, Severity
from planner.guest.kernel import ONLINE
from planner.machine.device_memory import VIRTIO_MEM
from planner.machine.request import MachineRequest, MemoryDevice
from planner.span import Span, align_down, align_up
from planner.units import show_size
from qmp_glue.addresses import MonitorAddress
from qmp_glue.agent import AGENT_SECONDS, Agent, MemoryBlock
from qmp_glue.asks import Asks
from qmp_glue.errors import CommandError, GlueError, LostError, SilentError
from qmp_glue.live import at_monitor

__all__ = ["online_pieces", "unplugged", "verify_pieces"]

#: A guest that brought blocks online gets its next from virtio-mem after a moment.
_STILL_SECONDS = 3.0
_POLL_SECONDS = 0.1
#: All rounds together: a terabyte in blocks of 128 MiB takes less than a minute.
_MOST_SECONDS = 600.0
#: Blocks brought online by one command: each takes milliseconds, and the answer has its time.
_AT_ONCE = 64


def verify_pieces(
    request: MachineRequest,
    qmp: MonitorAddress,
    agent: MonitorAddress,
    seconds: float = AGENT_SECONDS,
) -> list[Finding]:
    """Compare the guest's own memory blocks with the plan's pieces.

    :raise GlueError: QEMU cannot be reached, or the agent's socket is not there.
    """
    if not request.devices:
        return []
    try:
        with Agent.open(agent, seconds) as asked:
            return _judged(request, asked.blocks(), asked.block_bytes())
    except (SilentError, LostError, CommandError) as error:
        return [_why(error, qmp, agent)]


def online_pieces(
    request: MachineRequest,
    qmp: MonitorAddress,
    agent: MonitorAddress,
    seconds: float = AGENT_SECONDS,
) -> list[Finding]:
    """Bring the plan's pieces online, in rounds until nothing changes any more.

    virtio-mem's driver plugs a gigabyte of blocks and waits while they are offline
    (drivers/virtio/virtio_mem.c, Linux 6.12).

    :raise GlueError: as :func:`verify_pieces`.
    """
    if not request.devices:
        return []
    try:
        with Agent.open(agent, seconds) as asked:
            return _rounds(request, asked)
    except (SilentError, LostError, CommandError) as error:
        return [_why(error, qmp, agent)]


def _rounds(request: MachineRequest, agent: Agent) -> list[Finding]:
    size = agent.block_bytes()
    wanted = {i for device in request.devices for i in _indexes(device, size)}
    refused: dict[int, str] = {}
    begun = changed = time.monotonic()
    last: list[MemoryBlock] = []
    while True:
        blocks = [block for block in agent.blocks() if block.index in wanted]
        now = time.monotonic()
        if blocks != last:
            last, changed = blocks, now
        offline = [b.index for b in blocks if not b.online and b.index not in refused]
        done = len(blocks) == len(wanted) and not offline
        if done or now - changed > _STILL_SECONDS or now - begun > _MOST_SECONDS:
            break
        if offline:
            refused |= agent.bring_online(offline[:_AT_ONCE])
        else:
            time.sleep(_POLL_SECONDS)
    notes = tuple(f"block {index}: {why}" for index, why in sorted(refused.items())[:8])
    return [replace(finding, notes=notes) for finding in _judged(request, last, size)]


def _span(device: MemoryDevice) -> Span:
    return Span.sized(device.addr or 0, device.size)


def _indexes(device: MemoryDevice, size: int) -> range:
    """Return the blocks that lie wholly in a piece."""
    span = _span(device)
    return range(align_up(span.start, size) // size, align_down(span.end, size) // size)


def _judged(request: MachineRequest, blocks: Iterable[MemoryBlock], size: int) -> list[Finding]:
    online = {block.index: block.online for block in blocks}
    found = []
    for device in request.devices:
        wanted = _indexes(device, size)
        offline = [index for index in wanted if online.get(index) is False]
        absent = [index for index in wanted if index not in online]
        title = f"'{device.id}' [{_span(device)}]"
        if offline:
            found.append(
                Finding(
                    "MM610",
                    f"{title}: {_amount(offline, wanted, size)} offline in the guest",
                    help="bring it online with 'guestmap apply PLAN --qmp ADDR --agent SOCKET',"
                    f" and at every boot with {ONLINE} on the guest kernel's command line",
                )
            )
        if absent or not wanted:
            driver = (
                "its driver virtio_mem has to be loaded; where blocks are offline it plugs no more"
                if device.driver == VIRTIO_MEM
                else "its kernel needs CONFIG_ACPI_HOTPLUG_MEMORY, and whole memory blocks of"
                f" {show_size(size)}"
            )
            found.append(
                Finding(
                    "MM611",
                    f"{title}: {_amount(absent, wanted, size)} absent from the guest",
                    help=driver,
                )
            )
    return found


def _amount(some: list[int], wanted: range, size: int) -> str:
    if not wanted:
        return f"no whole block of {show_size(size)} is in it, and all of it is"
    first = f", from {some[0] * size:#x} on," if len(some) < len(wanted) else ""
    verb = "is" if len(some) == 1 else "are"
    return f"{len(some)} of {len(wanted)} blocks of {show_size(size)}{first} {verb}"


def _why(error: GlueError, qmp: MonitorAddress, agent: MonitorAddress) -> Finding:
    """Say why an agent gave no answer, as QEMU sees it."""
    if isinstance(error, CommandError):
        reason, advice = (
            f"the agent refuses: {error.description}",
            "allow it the guest-*-memory-block* commands (qemu-ga --block-rpcs, --allow-rpcs)",
        )
    else:
        reason, advice = at_monitor(qmp, lambda asks: _diagnosed(asks, agent.path))
    return Finding(
        "MM612", f"the guest cannot be asked: {reason}", help=advice, notes=(str(error),)
    )


async def _diagnosed(asks: Asks, path: str) -> tuple[str, str]:
    """Return why nobody answers at the agent's socket, and what helps.

    Our own connection is closed by now: one that QEMU still has is somebody else's.
    """
    status = await asks.execute("query-status")
    if not status.get("running"):
        return f"it is {status.get('status')}", "let it run: 'cont' at the monitor"
    ports = [
        port
        for port in await asks.execute("query-chardev")
        if path and f"unix:{path}" in str(port.get("filename", ""))
    ]
    if not ports:
        return "no socket of this QEMU has that name", "name the agent's socket as QEMU has it"
    if not ports[0].get("frontend-open"):
        return (
            "no agent has the port open",
            (
                "install and start qemu-guest-agent in the guest; the port is"
                " virtserialport,name=org.qemu.guest_agent.0"
            ),
        )
    if not str(ports[0].get("filename", "")).startswith("disconnected:"):
        return (
            "another client holds the agent's socket",
            "a socket serves one client; end the other, or ask through it",
        )
    return "the agent has the port open and hangs", "restart qemu-guest-agent in the guest"


async def unplugged(asks: Asks) -> list[Finding]:
    """Find virtio-mem devices that a running guest does not use as far as it was asked to."""
    status = await asks.execute("query-status")
    if not status.get("running"):
        return []
    found = []
    for entry in await asks.execute("query-memory-devices"):
        data = entry.get("data", {})
        have, asked = data.get("size", 0), data.get("requested-size", 0)
        if have >= asked:
            continue
        found.append(
            Finding(
                "MM610",
                f"'{data.get('id') or '(unnamed)'}' at {data.get('memaddr', 0):#x}: the guest has"
                f" plugged {show_size(have) if have else 'nothing'} of the"
                f" {show_size(asked)} asked for",
                help="a guest that brings no blocks online plugs 1 GiB at most, one without the"
                f" driver virtio_mem nothing: {ONLINE} on its kernel's command line, or --agent",
                level=Severity.WARNING,
            )
        )
    return found
