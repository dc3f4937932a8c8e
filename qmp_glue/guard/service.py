"""The guard as a service: finds QEMU, serves clients, comes back when QEMU does."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qmp_glue.addresses import MonitorAddress, connect
from qmp_glue.errors import GlueError, ListenError
from qmp_glue.guard.launch import Launched, launch, other_monitors
from qmp_glue.guard.listening import listen
from qmp_glue.guard.proxy import Middlebox
from qmp_glue.guard.record import GuardRecord
from qmp_glue.guard.systemd import notify, watchdog_seconds
from qmp_glue.guard.verdicts import Judge

__all__ = ["GuardOptions", "Outcome", "run"]

#: How long QEMU may take to end after it was asked to, or after its monitor closed.
_END_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class GuardOptions:
    """What a guard is told on its command line."""

    #: Where QEMU's monitor is; None when the guard starts QEMU itself.
    qmp: MonitorAddress | None = None
    #: QEMU's process id, where the caller knows it better than the socket.
    qemu_pid: int | None = None
    #: Options that gave that QEMU another monitor.
    other_monitors: tuple[str, ...] = ()
    #: QEMU's command line, when the guard starts it.
    argv: tuple[str, ...] = ()
    #: Where a QEMU that the guard starts listens; None for a socket pair.
    monitor: MonitorAddress | None = None
    #: Where clients connect; None when systemd passes the socket.
    listen: MonitorAddress | None = None
    #: Descriptors systemd passed.
    listen_fds: tuple[int, ...] = ()
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
    :raise FileError: the metrics cannot be written.
    """
    record.metrics.start()
    listener = _listener(options)
    try:
        guard = _Guard(options, listener, judge, record)
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(guard.run())
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)
        try:
            return await task
        except asyncio.CancelledError:
            if not task.cancelled():
                raise
            status = await guard.end_qemu()
            return Outcome("asked to end", status, asked=True)
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
            notify(STOPPING="1")
            record.metrics.refresh()
    finally:
        listener.close()
        if options.listen and options.listen.path:
            Path(options.listen.path).unlink(missing_ok=True)


def _listener(options: GuardOptions) -> socket.socket:
    if options.listen_fds:
        if len(options.listen_fds) > 1:
            raise ListenError(
                f"systemd passed {len(options.listen_fds)} sockets; the guard takes one",
                "leave one ListenStream= in the socket unit",
            )
        return socket.socket(fileno=options.listen_fds[0])
    assert options.listen is not None
    return listen(options.listen, mode=options.mode)


class _Guard:
    def __init__(
        self, options: GuardOptions, listener: socket.socket, judge: Judge, record: GuardRecord
    ) -> None:
        self._options = options
        self._record = record
        self._box = Middlebox(
            listener,
            judge,
            record,
            stall_seconds=options.stall_seconds,
            refuse_second=options.refuse_second,
        )
        self._launched: Launched | None = None
        #: Why there is no QEMU; empty while there is one.
        self._waiting = ""

    async def run(self) -> Outcome:
        feeding = asyncio.ensure_future(self._feed_watchdog())
        try:
            if self._options.argv:
                return await self._run_launched(self._options.argv)
            return await self._run_connected()
        finally:
            feeding.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await feeding

    async def end_qemu(self) -> int | None:
        """End a QEMU that the guard started; one that it found is left alone."""
        launched = self._launched
        if launched is None:
            return None
        launched.terminate()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_END_SECONDS):
                return await launched.wait()
        launched.process.kill()
        return await launched.wait()

    async def _run_launched(self, argv: Sequence[str]) -> Outcome:
        for option in other_monitors(argv):
            self._record.error("other-monitor", option=option)
        self._launched = launched = await launch(argv, self._options.monitor)
        try:
            pid = launched.process.pid
            reason = await self._box.serve(launched.sock, self._ready, pid)
        except GlueError as exc:
            reason = str(exc)
        try:
            async with asyncio.timeout(_END_SECONDS):
                status = await launched.wait()
        except TimeoutError:
            return Outcome(f"{reason}, but QEMU runs on", None)
        return Outcome(reason, status)

    async def _run_connected(self) -> Outcome:
        options = self._options
        assert options.qmp is not None
        for option in options.other_monitors:
            self._record.error("other-monitor", option=option)
        pause = options.reconnect
        if pause is not None:
            # Clients may come and wait; that is all that is promised.
            self._waiting = "not met yet"
            notify(READY="1", STATUS=self._status)
        while True:
            try:
                sock = await asyncio.to_thread(connect, options.qmp)
                reason = await self._box.serve(sock, self._ready, options.qemu_pid)
            except GlueError as exc:
                if pause is None:
                    raise
                reason = str(exc)
                if reason != self._waiting:
                    self._record.error("connect", reason=reason)
            if pause is None or options.qmp.fd is not None:
                return Outcome(reason, died=not self._box.shut_down)
            self._waiting = reason
            notify(STATUS=self._status)
            await asyncio.sleep(pause)

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
