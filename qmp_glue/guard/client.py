"""The client's end: its own greeting and negotiation, its commands in order, its descriptors."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

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

Held = tuple[Message | BadInput, tuple[int, ...]]


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
    ) -> None:
        """Greet the client on a connected socket.

        :param take: is given what belongs in the order of in-band commands.
        :param take_oob: is given out-of-band commands, at once.
        :param gone: is told, once, when the client is gone and why.
        """
        self._link = Link(sock, self._on_bytes, self._on_end)
        self._offered = offered
        self._take = take
        self._take_oob = take_oob
        self._gone: Callable[[str], None] | None = gone
        self._reader = CommandReader()
        self._pending_fds: list[int] = []
        self._negotiated = False
        self._oob = False
        self._blocked = False
        #: What waits for its turn.
        self.held: deque[Held] = deque()
        #: Done when the client sends no more; it may still read.
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._link.send(greeting)
        self._link.resume()

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

    def send(self, data: bytes, fds: Sequence[int] = ()) -> None:
        """Send bytes to the client as they are."""
        self._link.send(data, fds)

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
        for _, fds in self.held:
            close_all(fds)
        self.held.clear()
        close_all(self._pending_fds)
        self._pending_fds = []

    def _on_bytes(self, data: bytes, fds: list[int]) -> None:
        if fds:
            close_all(self._pending_fds)
            self._pending_fds = fds
        for item in self._reader.feed(data):
            self._sort(item)
            if self._link.closed:
                return
        if len(self.held) >= _MOST_HELD:
            self._link.pause()

    def _sort(self, item: Message | BadInput) -> None:
        if not self._negotiated:
            self._negotiate(item)
            return
        if isinstance(item, BadInput):
            self._take((item, ()))
            return
        value = item.value
        if not _is_usual(value):
            try:
                command_name(value, oob=self._oob)
            except NotACommandError as exc:
                self._take((BadInput(str(exc), value), ()))
                return
            if is_oob(value):
                self._take_oob(value)
                return
        fds: tuple[int, ...] = ()
        if self._pending_fds and value.get("execute") in _CLAIMERS:
            fds, self._pending_fds = tuple(self._pending_fds), []
        self._take((item, fds))

    def _negotiate(self, item: Message | BadInput) -> None:
        if isinstance(item, BadInput):
            self._link.send(error_reply(item.desc))
            return
        try:
            self._oob = negotiate(item.value, offered=self._offered)
        except NotFoundError as exc:
            self._link.send(error_reply(str(exc), item.value, kind="CommandNotFound"))
        except NotACommandError as exc:
            self._link.send(error_reply(str(exc), item.value))
        else:
            self._negotiated = True
            reply: dict[str, Json] = {"return": {}}
            if "id" in item.value:
                reply["id"] = item.value["id"]
            self._link.send(reply_bytes(reply))

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
