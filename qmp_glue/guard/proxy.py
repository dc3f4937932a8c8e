"""The middlebox: one client at a time in front of one QEMU.

What needs no judgement goes to QEMU in the callback that read it, or that read the reply which made
room: no more commands are in flight than QEMU itself queues, and when the client leaves, the others
are dropped, as QEMU drops its queue. As soon as something needs a judgement, it and what follows it
in band is held, in order, and a task works it off: at most one command that can change the map is
between its check and QEMU at any time. Replies of the guard's own take their
place in the order of replies, because :meth:`Monitor.settle` is awaited first.

Back-pressure: a client that does not read stops the reading of QEMU, and after ``stall_seconds``
without progress it is let go, so that it cannot hold QEMU's events for ever. A QEMU that does not
read stops the reading of the client.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from qmp_glue.errors import GlueError
from qmp_glue.guard.client import Client
from qmp_glue.guard.client import Held as Waiting
from qmp_glue.guard.held import Held
from qmp_glue.guard.link import close_all
from qmp_glue.guard.monitor import Monitor
from qmp_glue.guard.stored import Stored
from qmp_glue.guard.values import Json, error_reply, reply_bytes
from qmp_glue.guard.verdicts import (
    Journal,
    Judge,
    PassedFd,
    Refuse,
    Rewrite,
    Verdict,
)
from qmp_glue.guard.wire import BadInput

__all__ = ["Middlebox"]

#: Bytes for a peer beyond which the other one is no longer read. One message can be larger.
_HIGH_WATER: Final = 1 << 20
#: Bytes for a client beyond which it is not read from either: it keeps asking and takes no answers.
_REPLY_WATER: Final = 8 << 20
#: Commands in flight beyond which the next ones wait: as many as QEMU queues
#: (QMP_REQ_QUEUE_LEN_MAX in monitor/qmp.c).
_MOST_IN_FLIGHT: Final = 8
#: How long QEMU may take to greet, in seconds, when somebody else may hold its monitor.
_GREETING_SECONDS: Final = 30.0
#: How long a client that has stopped sending is waited for, until its last commands are answered.
_LINGER_SECONDS: Final = 10.0


class Middlebox:
    """Serves clients of one QEMU until QEMU is gone."""

    def __init__(
        self,
        listener: socket.socket,
        judge: Judge,
        journal: Journal,
        *,
        stall_seconds: float = 30.0,
        refuse_second: bool = False,
        held: Held | Stored | None = None,
    ) -> None:
        """Make a middlebox on a listening socket.

        :param stall_seconds: after how long without progress a client that does not read is let go.
        :param refuse_second: tell a second client that there is one already, instead of letting it
            wait without a greeting as QEMU does.
        :param held: what a holder keeps for the next guard.
        """
        #: What keeps things for the next guard.
        self.held = held
        listener.setblocking(False)
        self._listener = listener
        self._judge = judge
        self._journal = journal
        self._stall_seconds = stall_seconds
        self._refuse_second = refuse_second
        self._loop = asyncio.get_running_loop()
        self._monitor: Monitor | None = None
        self._client: Client | None = None
        self._worker: asyncio.Task[None] | None = None
        self._cleaner: asyncio.Task[None] | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        self._stall_mark = 0
        self._accepting = False
        #: Whether the last QEMU said that it shuts down before it was gone.
        self.shut_down = False

    @property
    def monitor(self) -> Monitor | None:
        """The connection to QEMU, None while there is none."""
        return self._monitor

    async def serve(
        self,
        sock: socket.socket,
        ready: Callable[[], Awaitable[None]] | None = None,
        pid: int | None = None,
    ) -> str:
        """Serve clients of the QEMU at the other end of *sock*; return why that ended.

        :param ready: is awaited once QEMU has been negotiated with.
        :param pid: QEMU's process id, where the caller knows it better than the socket; then the
            monitor is surely free, and a QEMU that allocates its memory first is waited for.
        :raise GlueError: QEMU does not greet or negotiate.
        """
        ledger = self.held.ledger if self.held else None
        monitor = Monitor(sock, self._to_client, pid, ledger)
        monitor.committed = lambda: not self._client or self._client.committed
        try:
            await monitor.open(None if pid else _GREETING_SECONDS)
            self._monitor = monitor
            monitor.on_drained(self._flow)
            monitor.on_replied = self._pump
            if monitor.known:
                await self._go_on(monitor)
            greeting = monitor.greeting.decode("utf-8", "replace")
            self._journal.event("qemu", greeting=greeting, vm=monitor.vm)
            if ready:
                await ready()
            self._accept_again()
            reason = await asyncio.shield(monitor.lost)
            self.shut_down = monitor.shut_down
            self._journal.event("qemu-gone", reason=reason)
            return reason
        finally:
            self._stop_accepting()
            self._monitor = None
            monitor.close()
            if self._client:
                self._client.close("QEMU is gone", flush=True)
            await self._cancel(self._worker)
            await self._cancel(self._cleaner)
            self._worker = self._cleaner = None

    async def _go_on(self, monitor: Monitor) -> None:
        """Take up what the guard before this one left."""
        assert self.held
        sock, self.held.client = self.held.client, None
        if sock and self.held.ledger.from_client.spoilt:
            self._journal.error("client-lost", reason="a guard was killed amid a huge message")
            with sock, contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            self.held.gone()
        elif sock:
            self._serve(sock, monitor)
        self._journal.event("restarted", client=self._client is not None)
        await monitor.go_on()
        if self._client:
            self._client.resume()
            self._pump()

    @staticmethod
    async def _cancel(task: asyncio.Task[None] | None) -> None:
        if task and task is not asyncio.current_task():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    # Clients come and go.

    def _accept(self) -> None:
        if not self._accepting:
            self._accepting = True
            self._loop.add_reader(self._listener, self._on_connect)

    def _stop_accepting(self) -> None:
        if self._accepting:
            self._accepting = False
            self._loop.remove_reader(self._listener)

    def _on_connect(self) -> None:
        try:
            if self.held and not (self._client or self._cleaner):
                sock = self.held.accept()
                if sock is None:
                    return
            else:
                sock, _ = self._listener.accept()
        except (OSError, GlueError) as exc:
            # EMFILE and the like would come again at once.
            self._journal.error("accept", reason=str(exc))
            self._stop_accepting()
            self._loop.call_later(1.0, self._accept_again)
            return
        monitor = self._monitor
        if self._client or self._cleaner or monitor is None:
            self._turn_away(sock)
            return
        if not self._refuse_second:
            self._stop_accepting()
        client = self._serve(sock, monitor)
        if self.held:
            client.resume()
        self._journal.event("client")

    def _serve(self, sock: socket.socket, monitor: Monitor) -> Client:
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = Client(
            sock,
            greeting=monitor.greeting,
            offered=monitor.offered,
            take=self._take,
            take_oob=self._take_oob,
            gone=self._on_gone,
            ledger=self.held.ledger if self.held else None,
        )
        self._client = client
        client.on_drained(self._flow)
        client.ended.add_done_callback(lambda _: self._on_ended(client))
        return client

    def _accept_again(self) -> None:
        if self._monitor and (self._refuse_second or not (self._client or self._cleaner)):
            self._accept()

    def _turn_away(self, sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            sock.setblocking(False)
            sock.send(error_reply("guestmap guard: another client is connected; try again later"))
        self._journal.event("client-refused")

    def _on_ended(self, client: Client) -> None:
        if client is self._client:
            self._pump()

    def _on_gone(self, reason: str) -> None:
        self._client = None
        if self.held:
            self.held.gone()
        self._set_stall_timer(on=False)
        self._journal.event("client-gone", reason=reason)
        if self._monitor and not self._cleaner:
            self._monitor.resume()
            self._cleaner = self._loop.create_task(self._clean_up(self._monitor))

    async def _clean_up(self, monitor: Monitor) -> None:
        """Let the last client's commands run out: the next one must get only its own replies."""
        await self._cancel(self._worker)
        self._worker = None
        with contextlib.suppress(GlueError):
            await monitor.settle()
        self._cleaner = None
        self._accept_again()

    # From QEMU to the client.

    def _to_client(self, data: bytes, fds: Sequence[int], mark: int) -> None:
        client = self._client
        if client is None or not client.negotiated:
            close_all(fds)
            return
        client.send(data, fds, mark)
        if client.backlog > _HIGH_WATER:
            self._flow()

    def _flow(self) -> None:
        """Read from each peer only while the other one keeps up."""
        monitor, client = self._monitor, self._client
        if monitor is None or client is None:
            return
        client.check_flow(blocked=self._must_wait(monitor, client))
        if client.backlog > _HIGH_WATER:
            monitor.pause()
            self._set_stall_timer(on=True)
        else:
            monitor.resume()
            self._set_stall_timer(on=False)

    @staticmethod
    def _must_wait(monitor: Monitor, client: Client) -> bool:
        return monitor.backlog > _HIGH_WATER or client.backlog > _REPLY_WATER

    def _set_stall_timer(self, *, on: bool) -> None:
        if on and self._stall_timer is None and self._client:
            self._stall_mark = self._client.sent
            self._stall_timer = self._loop.call_later(self._stall_seconds, self._on_stall)
        elif not on and self._stall_timer:
            self._stall_timer.cancel()
            self._stall_timer = None

    def _on_stall(self) -> None:
        self._stall_timer = None
        client = self._client
        if client is None:
            return
        if client.sent == self._stall_mark:
            client.close(f"the client took nothing for {self._stall_seconds:g} s")
        else:
            self._flow()

    # From the client to QEMU.

    def _take_oob(self, value: Json) -> None:
        if self._monitor is None:
            return
        if self._judge.concerns({**value, "execute": value["exec-oob"]}):
            # QEMU would say the same; a QEMU that ran it out of band would run it unjudged.
            desc = f"The command {value['exec-oob']} does not support OOB"
            self._reply(error_reply(desc, value), in_band=False)
            return
        self._monitor.send(value)

    def _take(self, held: Waiting) -> None:
        client, monitor = self._client, self._monitor
        if client is None or monitor is None:
            close_all(held[1])
            return
        item, fds, number = held
        if not (self._worker or client.held or fds or isinstance(item, BadInput)):
            # What _pump() does, for what is alone: the usual case.
            value = item.value
            if monitor.in_flight < _MOST_IN_FLIGHT and not self._judge.concerns(value):
                monitor.send(value, mark=number)
                if monitor.backlog > _HIGH_WATER:
                    client.check_flow(blocked=True)
                return
        client.held.append(held)
        self._pump()

    def _pump(self) -> None:
        """Forward what is held, as far as there is room and nothing needs a judgement."""
        client, monitor = self._client, self._monitor
        if client is None or monitor is None or self._worker:
            return
        if not client.held and not client.ended.done():
            return
        while client.held and monitor.in_flight < _MOST_IN_FLIGHT:
            item, fds, number = client.held[0]
            if fds or isinstance(item, BadInput) or self._judge.concerns(item.value):
                self._start(self._work(client))
                return
            client.held.popleft()
            monitor.send(item.value, mark=number)
        client.check_flow(blocked=self._must_wait(monitor, client))
        if client.ended.done() and not client.held:
            self._start(self._work(client))

    def _start(self, work: Awaitable[None]) -> None:
        self._worker = asyncio.ensure_future(work)

    async def _work(self, client: Client) -> None:
        """Work off what is held; then, when the client sends no more, see it off."""
        monitor = self._monitor
        try:
            while monitor and client.held:
                item, fds, number = client.held.popleft()
                if isinstance(item, BadInput):
                    await monitor.settle()
                    self._reply(error_reply(item.desc, item.value))
                else:
                    await self._handle(monitor, item.value, fds, number)
                client.check_flow(blocked=self._must_wait(monitor, client))
            if monitor and client.ended.done() and not client.closed:
                with contextlib.suppress(GlueError):
                    await monitor.settle(timeout=_LINGER_SECONDS)
                self._worker = None
                client.close(client.ended.result(), flush=True)
        except GlueError as exc:
            self._journal.error("monitor", reason=str(exc))
        finally:
            if self._worker is asyncio.current_task():
                self._worker = None

    async def _handle(
        self, monitor: Monitor, value: Json, fds: tuple[int, ...], number: int
    ) -> None:
        if self._judge.concerns(value):
            verdict = await self._verdict(monitor, value)
            if isinstance(verdict, Refuse):
                close_all(fds)
                await monitor.settle()
                self._reply(error_reply(verdict.words, value, kind=verdict.kind))
                return
            if isinstance(verdict, Rewrite):
                value = verdict.command
        if monitor.in_flight >= _MOST_IN_FLIGHT:
            await monitor.settle()
        if not fds:
            monitor.send(value, mark=number)
            return
        seen = _named(value, fds)
        await monitor.settle()
        # QEMU reads ahead: the next set must not arrive before this one is claimed.
        reply = await monitor.relay(value, fds)
        if "error" not in reply:
            monitor.peer.passed.update(seen)
            if self.held:
                self.held.ledger.note_passed(monitor.peer.passed)
        self._reply(reply_bytes(reply))

    async def _verdict(self, monitor: Monitor, command: dict[str, Json]) -> Verdict:
        started = time.perf_counter()
        verdict: Verdict
        try:
            verdict = await self._judge.judge(command, monitor, monitor.peer)
        except GlueError as exc:
            verdict = Refuse(f"guestmap: cannot judge: {exc}", unjudged=True)
        except Exception as exc:  # noqa: BLE001  # a judge that breaks must not let the command by
            self._journal.error("judge", reason=f"{type(exc).__name__}: {exc}")
            verdict = Refuse("guestmap: the judgement failed; see the guard's log", unjudged=True)
        self._journal.judged(command, verdict, time.perf_counter() - started)
        return verdict

    def _reply(self, data: bytes, *, in_band: bool = True) -> None:
        client = self._client
        if client:
            client.reply(data, in_band=in_band)
            if client.backlog > _HIGH_WATER:
                self._flow()


def _named(command: Mapping[str, Json], fds: Sequence[int]) -> dict[str, PassedFd]:
    """Return what a descriptor is, by the name QEMU is about to know it by."""
    arguments = command.get("arguments")
    if command.get("execute") == "getfd" and isinstance(arguments, dict):
        name = arguments.get("fdname")
        if isinstance(name, str):
            with contextlib.suppress(OSError):
                return {name: PassedFd.of(fds[0])}
    return {}
