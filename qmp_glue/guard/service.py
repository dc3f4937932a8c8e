"""The guard as a service: finds QEMU, serves clients, comes back when QEMU does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from qmp_glue.addresses import MonitorAddress, connect
from qmp_glue.errors import GlueError
from qmp_glue.guard.held import Held
from qmp_glue.guard.listening import listen_at
from qmp_glue.guard.proxy import Middlebox
from qmp_glue.guard.record import GuardRecord
from qmp_glue.guard.stored import Stored
from qmp_glue.guard.systemd import has_store, notify, watchdog_seconds
from qmp_glue.guard.verdicts import Judge

__all__ = ["GuardOptions", "Outcome", "run"]

#: How long QEMU may take to end after it was asked to, or after its monitor closed.
_END_SECONDS: Final = 10.0
#: A holder starts the guard with these blocked: they wait until it can end in order.
_STOPPING: Final = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, slots=True)
class GuardOptions:
    """What a guard is told on its command line."""

    #: Where QEMU's monitor is; None when a holder has it.
    qmp: MonitorAddress | None = None
    #: What a holder keeps: QEMU, its monitor, where clients connect.
    held: Held | None = None
    #: Options that gave that QEMU another monitor.
    other_monitors: tuple[str, ...] = ()
    #: Where clients connect; None when systemd passes the socket.
    listen: MonitorAddress | None = None
    #: Descriptors systemd passed.
    listen_fds: tuple[int, ...] = ()
    #: What systemd kept for the guard before this one, by name.
    stored: Mapping[str, int] = field(default_factory=dict)
    #: Permissions of the socket.
    mode: int = 0o600
    #: Seconds between attempts to find QEMU again; None ends the guard with QEMU.
    reconnect: float | None = None
    stall_seconds: float = 30.0
    refuse_second: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the guard ended."""

    reason: str
    #: QEMU's exit status when the guard started it, negative for a signal.
    qemu_status: int | None = None
    #: Whether a QEMU whose status nobody told was gone without having shut down.
    died: bool = False
    #: Whether somebody asked the guard to end.
    asked: bool = False


async def run(options: GuardOptions, judge: Judge, record: GuardRecord) -> Outcome:
    """Serve until QEMU is gone, or SIGTERM or SIGINT comes.

    :raise GlueError: the listening socket cannot be made, QEMU cannot be reached or started, or
        does not answer as QEMU does.
    """
    held = options.held
    listener = held.listener if held else Stored.listener(options.stored)
    listener = listener or listen_at(options.listen, options.listen_fds, options.mode)
    try:
        guard = _Guard(options, listener, judge, record)
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(guard.run())
        if held:
            held.watch(task)
        for number in _STOPPING:
            loop.add_signal_handler(number, task.cancel)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
        try:
            return await task
        except asyncio.CancelledError:
            if not task.cancelled():
                raise
            status = await guard.end_qemu()
            return Outcome("asked to end", status, asked=True)
        finally:
            for number in _STOPPING:
                loop.remove_signal_handler(number)
            notify(STOPPING="1")
            record.metrics.refresh()
    finally:
        listener.close()
        if options.listen and options.listen.path and not (held and held.orphaned):
            Path(options.listen.path).unlink(missing_ok=True)


class _Guard:
    def __init__(
        self, options: GuardOptions, listener: socket.socket, judge: Judge, record: GuardRecord
    ) -> None:
        self._options = options
        self._record = record
        self._listener = listener
        self._box = Middlebox(
            listener,
            judge,
            record,
            stall_seconds=options.stall_seconds,
            refuse_second=options.refuse_second,
            held=options.held,
        )
        #: Why there is no QEMU; empty while there is one.
        self._waiting = ""

    async def run(self) -> Outcome:
        feeding = asyncio.ensure_future(self._feed_watchdog())
        try:
            if self._options.held:
                return await self._run_held(self._options.held)
            return await self._run_connected()
        finally:
            feeding.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await feeding

    async def end_qemu(self) -> int | None:
        """End a QEMU that was started for the guard; one that it found is left alone."""
        held = self._options.held
        if held is None or not held.started:
            return None
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.kill(held.qemu, number)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_END_SECONDS):
                    return await held.status()
        return None

    def _name_other_monitors(self) -> None:
        for option in self._options.other_monitors:
            self._record.error("other-monitor", option=option)

    async def _run_held(self, held: Held) -> Outcome:
        self._name_other_monitors()
        try:
            reason = await self._box.serve(held.qmp, self._ready, held.qemu)
        except GlueError as exc:
            reason = str(exc)
        if not held.started:
            return Outcome(reason, died=not self._box.shut_down)
        try:
            async with asyncio.timeout(_END_SECONDS):
                return Outcome(reason, await held.status())
        except TimeoutError:
            return Outcome(f"{reason}, but QEMU runs on", None)

    async def _run_connected(self) -> Outcome:
        options = self._options
        assert options.qmp is not None
        self._name_other_monitors()
        pause = options.reconnect
        stored = Stored.again(self._listener, options.stored)
        if pause is not None:
            # Clients may come and wait; that is all that is promised.
            self._waiting = "not met yet"
            notify(READY="1", STATUS=self._status)
        while True:
            try:
                reason = await self._serve_found(options.qmp, stored)
            except GlueError as exc:
                if pause is None:
                    raise
                reason = str(exc)
                if reason != self._waiting:
                    self._record.error("connect", reason=reason)
            stored = None
            if pause is None or options.qmp.fd is not None:
                return Outcome(reason, died=not self._box.shut_down)
            self._waiting = reason
            notify(STATUS=self._status)
            await asyncio.sleep(pause)

    async def _serve_found(self, place: MonitorAddress, stored: Stored | None) -> str:
        """Serve the QEMU at *place*, or the one that the guard before this one was connected to."""
        if stored is None:
            sock = await asyncio.to_thread(connect, place)
            if not has_store():
                return await self._box.serve(sock, self._ready)
            stored = Stored.begin(self._listener, sock)
        self._box.held = stored
        try:
            return await self._box.serve(stored.qmp, self._ready)
        finally:
            self._box.held = None
            stored.end()

    @property
    def _status(self) -> str:
        """What systemd is told of the guard: one line, whoever asks."""
        return f"waiting for QEMU: {self._waiting}" if self._waiting else self._record.last

    async def _ready(self) -> None:
        self._waiting = ""
        notify(READY="1", STATUS=self._status)

    async def _feed_watchdog(self) -> None:
        """Tell systemd that all is well, after a round trip to QEMU where there is one."""
        limit = watchdog_seconds()
        if limit is None:
            return
        while True:
            monitor = self._box.monitor
            try:
                if monitor:
                    await monitor.execute("query-status", seconds=limit)
                notify(WATCHDOG="1", STATUS=self._status)
            except GlueError as exc:
                self._record.error("watchdog", reason=str(exc))
            await asyncio.sleep(limit / 3)
