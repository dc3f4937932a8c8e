"""``guestmap guard``: stand before a QEMU's monitor and judge every hotplug."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from planner.cli import options
from planner.cli.complete import files
from planner.cli.exits import Command, Exit
from planner.cli.output import tell
from planner.host.profile import Scope
from planner.text.write import FileError
from qmp_glue.addresses import MonitorAddress
from qmp_glue.errors import GlueError
from qmp_glue.guard.emulator import become_qemu
from qmp_glue.guard.held import Held, hold
from qmp_glue.guard.launch import launch, other_monitors
from qmp_glue.guard.listening import listen_at, listen_fds
from qmp_glue.guard.policy import Policy, PolicyOptions
from qmp_glue.guard.record import GuardRecord, Lines, Metrics
from qmp_glue.guard.service import GuardOptions, Outcome, run

__all__ = ["command"]


def _mode(text: str) -> int:
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o777 or mode & 0o007:
        raise ValueError(f"'{text}' is not an octal mode that shuts others out, like 0660")
    return mode


@click.command("guard", cls=Command)
@options.words("argv")
@options.qmp(reading=False)
@click.option(
    "--listen",
    "place",
    type=options.monitor,
    metavar="ADDR",
    help="Where clients connect. Left out when systemd passes the socket.",
)
@options.judging
@click.option("--fail-open", is_flag=True, help="Pass, and log, what cannot be judged.")
@click.option(
    "--allow-exec",
    is_flag=True,
    help="Let a migration of mode cpr-exec make QEMU another program, which is not judged.",
)
@click.option(
    "--reconnect",
    type=click.FloatRange(min=0.05),
    metavar="SECONDS",
    help="When QEMU goes, look for it again this often instead of ending.",
)
@click.option(
    "--monitor",
    type=options.monitor,
    metavar="PATH",
    help="With -- QEMU ARGS: have QEMU listen here, so that another guard can take over.",
)
@click.option(
    "--libvirt",
    is_flag=True,
    help="With -- QEMU ARGS as libvirt gives them: take over the monitor in them.",
)
@click.option("--second", type=click.Choice(["wait", "refuse"]), default="wait", show_default=True)
@click.option(
    "--stall",
    type=click.FloatRange(min=0.1),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="Let a client go that takes nothing for so long while there is much for it.",
)
@click.option(
    "--mode",
    type=options.Parsed("mode", _mode),
    default="0600",
    show_default=True,
    metavar="MODE",
    help="Of the socket.",
)
@click.option(
    "--log",
    metavar="FILE",
    shell_complete=files,
    help="Append the record here instead of to stderr.",
)
@click.option(
    "--metrics",
    metavar="FILE",
    shell_complete=files,
    help="Write counters for node_exporter's textfiles.",
)
def command(
    *,
    argv: tuple[str, ...],
    qmp: MonitorAddress | None,
    place: MonitorAddress | None,
    hosts: tuple[str, ...],
    scope: Scope,
    steer: bool,
    elsewhere: bool,
    fail_open: bool,
    allow_exec: bool,
    reconnect: float | None,
    monitor: MonitorAddress | None,
    libvirt: bool,
    second: str,
    stall: float,
    mode: int,
    log: str | None,
    metrics: str | None,
) -> Exit:
    """Serve QMP in front of a QEMU, and judge what would change its map or its devices.

    Whoever manages the VM connects to --listen instead of QEMU's own monitor and notices nothing,
    except that a hotplug that would end the VM is refused with the reason, or goes to an address
    that works. With several --host, memory must suit all of them; a host device is looked up on
    the first.

    \b
    Example:
      guestmap guard --qmp unix:/run/vm1/qmp.sock --listen unix:/run/guard/vm1.sock
      guestmap guard --listen unix:run/vm2.sock -- qemu-system-x86_64 -M q35 -m 4G,maxmem=64G
    """
    if bool(argv) == bool(qmp):
        raise click.UsageError("give --qmp, or -- and QEMU's command line")
    if monitor and not (argv and monitor.path):
        raise click.UsageError("--monitor takes a path, and goes with -- and QEMU's command line")
    if libvirt and (place or monitor or reconnect or not argv):
        raise click.UsageError("--libvirt goes with -- and QEMU's command line, and no address")
    listening, stored = listen_fds()
    passed = tuple(listening) if place is None else ()
    if not (place or passed or libvirt):
        raise click.UsageError("give --listen, or start the guard by its socket")
    counters = Metrics(Path(metrics) if metrics else None, vm=str(place or ""))
    held = Held.inherited()
    others: tuple[str, ...] = ()
    if held is None and libvirt:
        handover = become_qemu(argv)
        others = handover.others
        held = hold(handover.listen_fd, handover.qmp_fd, handover.qemu_pid, started=False)
    elif held is None:
        # Under libvirt QEMU has started, and elsewhere it must not when this is refused.
        counters.start()
        if log:
            Lines.to_file(log).close()
        if argv:
            others = tuple(other_monitors(argv))
            held = _start(argv, place, passed, monitor, mode)
    how = GuardOptions(
        qmp=qmp,
        held=held,
        stored=stored,
        other_monitors=others,
        listen=place,
        listen_fds=passed,
        mode=mode,
        reconnect=reconnect,
        stall_seconds=stall,
        refuse_second=second == "refuse",
    )
    fds = [*passed, *((held.listener.fileno(), held.qmp.fileno()) if held else ())]
    policy = Policy(
        PolicyOptions(
            hosts=hosts or ("/sys",),
            scope=scope,
            steer=steer,
            elsewhere=elsewhere,
            fail_open=fail_open,
            allow_exec=allow_exec,
            sockets=tuple(_places((place, monitor, qmp), fds)),
        )
    )
    record = GuardRecord(_lines(log, held), counters)
    return _exit(asyncio.run(run(how, policy, record)))


def _start(
    argv: tuple[str, ...],
    place: MonitorAddress | None,
    passed: tuple[int, ...],
    monitor: MonitorAddress | None,
    mode: int,
) -> Held:
    """Start QEMU, and become its holder; return in the guard's process."""
    listener = listen_at(place, passed, mode)
    try:
        qemu, sock = launch(argv, monitor)
    except GlueError:
        if place and place.path:
            Path(place.path).unlink(missing_ok=True)
        raise
    return hold(listener.detach(), sock.detach(), qemu, started=True)


def _lines(log: str | None, held: Held | None) -> Lines | None:
    try:
        return Lines.to_file(log) if log else None
    except FileError as error:
        if held is None:
            raise
        # QEMU runs already, and the guard before this one could write.
        tell(str(error))
        return None


def _places(addresses: Iterable[MonitorAddress | None], fds: list[int]) -> Iterator[Path]:
    """Yield where the sockets are whose places QEMU may not take: the guard's and its own."""
    for address in addresses:
        if address and address.fd is not None:
            fds.append(address.fd)
        elif address and address.path:
            yield Path(address.path).absolute()
    for fd in fds:
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(fd)) as sock:
            name = sock.getsockname()
            if isinstance(name, str) and name:
                yield Path(name).absolute()


def _exit(outcome: Outcome) -> Exit:
    if outcome.died:
        tell(f"QEMU was gone without shutting down: {outcome.reason}")
        return Exit.UNREACHABLE
    if outcome.asked or not outcome.qemu_status:
        return Exit.OK
    tell(f"QEMU ended with status {outcome.qemu_status}: {outcome.reason}")
    return Exit.UNREACHABLE
