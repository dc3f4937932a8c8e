"""The client's end: its own greeting and negotiation, its commands in order, its descriptors."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from qmp_glue.guard.ledger import Ledger
from qmp_glue.guard.link import Link, close_all
from qmp_glue.guard.negotiation import (
    NotACommandError,
    NotFoundError,
    command_name,
    is_oob,
    negotiate,
)
from qmp_glue.guard.values import Json, error_reply, reply_bytes
from qmp_glue.guard.wire import BadInput, CommandReader, Message

__all__ = ["Client", "Held"]

#: In-band commands that wait for a judgement before reading stops; QEMU queues as many
#: (QMP_REQ_QUEUE_LEN_MAX).
_MOST_HELD: Final = 8
#: Commands that claim descriptors (qemu_chr_fe_get_msgfd() in QEMU). A set that was sent with
#: something else waits for one of them, or for the next set, which replaces it, as in QEMU.
_CLAIMERS: Final = frozenset({"getfd", "add-fd"})

_USUAL: Final = frozenset({"execute", "arguments", "id"})
_NOTHING: Final[dict[str, Json]] = {}
#: How long a client that is let go may take to read what is queued for it.
_FLUSH_SECONDS: Final = 10.0
#: What a command is told that a guard had read when it was killed.
_LOST: Final = "guestmap: the guard was restarted; the command was not run"
#: The same of one with a descriptor, which QEMU may have: its answer was the guard's to give.
_PERHAPS: Final = "guestmap: the guard was restarted; the command may have been run"

#: A message, the descriptors it claims, and its number among the client's.
Held = tuple[Message | BadInput, tuple[int, ...], int]


class Client:
    """One client, from its greeting to its end."""

    def __init__(
        self,
        sock: socket.socket,
        *,
        greeting: bytes,
        offered: frozenset[str],
        take: Callable[[Held], None],
        take_oob: Callable[[Json], None],
        gone: Callable[[str], None],
        ledger: Ledger | None = None,
    ) -> None:
        """Greet the client on a connected socket.

        :param take: is given what belongs in the order of in-band commands.
        :param take_oob: is given out-of-band commands, at once.
        :param gone: is told, once, when the client is gone and why.
        :param ledger: what is known of the client, should another guard have served it before.
        """
        self._ledger = ledger
        self._lane = ledger.from_client if ledger else None
        self._link = Link(
            sock, self._on_bytes, self._on_end, self._lane, ledger.to_client if ledger else None
        )
        self._offered = offered
        self._take = take
        self._take_oob = take_oob
        self._gone: Callable[[str], None] | None = gone
        self._reader = CommandReader()
        self._pending_fds: list[int] = []
        self._negotiated = False
        self._oob = False
        self._blocked = False
        #: Numbers of the message read last, and of the last one in band.
        self._number = self._in_band = 0
        #: What waits for its turn.
        self.held: deque[Held] = deque()
        #: Done when the client sends no more; it may still read.
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        if not (self._lane and self._lane.done):
            self._link.send(greeting, marks=(1, 0))
        if ledger:
            self._go_on(ledger)
        else:
            self._link.resume()

    def _go_on(self, ledger: Ledger) -> None:
        """Take up what the guard before this one had read and not done.

        Of its commands in band those that had not left for QEMU are answered with an error. One out
        of band is passed on as soon as it is read, whatever waits before it; QEMU answers it.
        """
        lane = ledger.from_client
        done, word = lane.done, ledger.negotiated
        self._negotiated = 0 < word >> 1 <= done
        self._oob = self._negotiated and bool(word & 1)
        lane.count = lane.first
        for item in self._reader.feed(lane.content()):
            lane.count += 1
            self._number = self._in_band = lane.count
            if lane.count <= done:
                continue
            if not self._negotiated:
                self._negotiate(item)
            elif isinstance(item, BadInput):
                self.held.append((item, (), lane.count))
            elif not (self._oob and is_oob(item.value)):
                claims = isinstance(item.value, dict) and item.value.get("execute") in _CLAIMERS
                desc = _PERHAPS if claims else _LOST
                self.held.append((BadInput(desc, item.value), (), lane.count))

    def resume(self) -> None:
        """Begin to read."""
        self._link.resume()

    @property
    def mark(self) -> int:
        """How many messages are done with, when what is about to be sent is on its way."""
        return self.held[0][2] - 1 if self.held else self._number

    @property
    def committed(self) -> bool:
        """Whether everything for the client is on its way, whatever becomes of this guard."""
        return self._link.committed

    @property
    def negotiated(self) -> bool:
        """Whether the client has left negotiation; only then it gets replies and events."""
        return self._negotiated

    @property
    def backlog(self) -> int:
        """Bytes that the client has not taken yet."""
        return self._link.backlog

    @property
    def sent(self) -> int:
        """Bytes the client has taken."""
        return self._link.sent

    @property
    def closed(self) -> bool:
        """Whether the connection is over."""
        return self._link.closed

    def on_drained(self, callback: Callable[[], None]) -> None:
        """Call *callback* whenever the client has taken everything."""
        self._link.on_drained = callback

    def send(self, data: bytes, fds: Sequence[int] = (), qemu_mark: int = 0) -> None:
        """Send what QEMU says, as it is.

        :param qemu_mark: how many of QEMU's messages are done with then.
        """
        self._link.send(data, fds, (0, qemu_mark))

    def reply(self, data: bytes, *, in_band: bool = True) -> None:
        """Send a reply of the guard's own, to the command whose turn it is."""
        self._link.send(data, marks=(self.mark if in_band else 0, 0))

    def check_flow(self, *, blocked: bool) -> None:
        """Read on, or hold the client back: when *blocked*, or when it has enough in the queue."""
        self._blocked = blocked
        if blocked or len(self.held) >= _MOST_HELD:
            self._link.pause()
        elif not self.ended.done():
            self._link.resume()

    def close(self, reason: str, *, flush: bool = False) -> None:
        """Let the client go; with *flush*, after it has been sent what is queued for it."""
        self._drop_held()
        if flush:
            self._link.close_when_sent()
            if not self._link.closed:
                asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self._link.close)
        else:
            self._link.close()
        gone, self._gone = self._gone, None
        if gone:
            gone(reason)

    def _drop_held(self) -> None:
        for _, fds, _ in self.held:
            close_all(fds)
        self.held.clear()
        close_all(self._pending_fds)
        self._pending_fds = []

    def _on_bytes(self, data: bytes, fds: list[int]) -> None:
        if fds:
            close_all(self._pending_fds)
            self._pending_fds = fds
        for item in self._reader.feed(data):
            if self._lane:
                self._lane.count += 1
                self._number = self._lane.count
            self._sort(item)
            if self._link.closed:
                return
        if self._lane:
            if self._lane.done >= self._in_band:
                # What follows it came out of band, and left as it came.
                self._lane.pass_all()
            self._lane.tidy(self._reader.pending)
        if len(self.held) >= _MOST_HELD:
            self._link.pause()

    def _sort(self, item: Message | BadInput) -> None:
        if not self._negotiated:
            self._in_band = self._number
            self._negotiate(item)
            return
        if isinstance(item, BadInput):
            self._in_band = self._number
            self._take((item, (), self._number))
            return
        value = item.value
        if not _is_usual(value):
            try:
                command_name(value, oob=self._oob)
            except NotACommandError as exc:
                self._in_band = self._number
                self._take((BadInput(str(exc), value), (), self._number))
                return
            if is_oob(value):
                self._take_oob(value)
                return
        self._in_band = self._number
        fds: tuple[int, ...] = ()
        if self._pending_fds and value.get("execute") in _CLAIMERS:
            fds, self._pending_fds = tuple(self._pending_fds), []
        self._take((item, fds, self._number))

    def _negotiate(self, item: Message | BadInput) -> None:
        if isinstance(item, BadInput):
            self.reply(error_reply(item.desc))
            return
        try:
            self._oob = negotiate(item.value, offered=self._offered)
        except NotFoundError as exc:
            self.reply(error_reply(str(exc), item.value, kind="CommandNotFound"))
        except NotACommandError as exc:
            self.reply(error_reply(str(exc), item.value))
        else:
            self._negotiated = True
            if self._ledger:
                self._ledger.negotiated = self.mark << 1 | self._oob
            reply: dict[str, Json] = {"return": {}}
            if "id" in item.value:
                reply["id"] = item.value["id"]
            self.reply(reply_bytes(reply))

    def _on_end(self, error: OSError | None) -> None:
        if error:
            self.close(f"the client's connection broke: {error.strerror}")
        elif not self.ended.done():
            self.ended.set_result("the client closed")


def _is_usual(value: Json) -> bool:
    """Say at a glance that the value is a plain command; what is not usual may still be one."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("execute"), str)
        and value.keys() <= _USUAL
        and isinstance(value.get("arguments", _NOTHING), dict)
    )
