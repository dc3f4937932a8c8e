"""QEMU's end: greeting, negotiation, and commands of the guard's own among the client's.

Commands of the guard carry an id nobody can guess; replies with it stay here, every other byte is
handed on as it came, and replies among it are counted. In-band commands are run in order, so once a
command of the guard has been answered, everything forwarded before it has been, too: that is what
:meth:`Monitor.settle` uses.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from qmp_glue.asks import COMMAND_SECONDS, Asks, QemuVersion
from qmp_glue.errors import CommandError, GarbageError, LostError, SilentError
from qmp_glue.guard.ledger import Ledger
from qmp_glue.guard.link import Link, close_all
from qmp_glue.guard.table import questions
from qmp_glue.guard.values import Json, wire_bytes
from qmp_glue.guard.verdicts import Peer
from qmp_glue.guard.wire import OversizeError, ReplySplitter, is_event

__all__ = ["Monitor"]


class Monitor(Asks):
    """A negotiated connection to QEMU's monitor."""

    def __init__(
        self,
        sock: socket.socket,
        forward: Callable[[bytes, Sequence[int], int], None],
        pid: int | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        """Take a connected socket.

        :param forward: is given what QEMU says to the client: whole messages, and descriptors; and
            how many messages of QEMU's are done with then.
        :param pid: QEMU's process id; None to ask the socket.
        :param ledger: what is known of QEMU, should another guard have served it before.
        """
        self._loop = asyncio.get_running_loop()
        self._ledger = ledger
        self._lane = ledger.from_qemu if ledger else None
        self._notes = ledger.notes() if ledger else {}
        self._link = Link(
            sock, self._on_bytes, self._on_end, self._lane, ledger.to_qemu if ledger else None
        )
        self._forward = forward
        self._splitter = ReplySplitter()
        # Answers to the questions of the guard before are still known by theirs.
        self._nonce = self._notes.get("nonce") or f"guestmap-{secrets.token_hex(8)}-"
        self._mark = self._nonce.encode("ascii")
        self._count = self._notes.get("generation", 0) << 32
        #: Questions that leave with the event loop's next turn.
        self._asked = bytearray()
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._greeted: asyncio.Future[bytes] | None = self._loop.create_future()
        #: Commands forwarded and not yet answered; QEMU gives each exactly one reply.
        self.in_flight = 0
        #: Says whether everything handed on is on its way to the client.
        self.committed: Callable[[], bool] = lambda: True
        #: Called when replies have been handed on.
        self.on_replied: Callable[[], None] | None = None
        #: Whether a guard before this one has negotiated with QEMU.
        self.known = False
        #: Whether QEMU has said that it shuts down.
        self.shut_down = False
        #: Done when the connection is over, with the reason in words.
        self.lost: asyncio.Future[str] = self._loop.create_future()
        #: The greeting as QEMU sent it.
        self.greeting = b""
        #: Capabilities QEMU offers.
        self.offered: frozenset[str] = frozenset()
        self.name = "the monitor"
        #: QEMU's ``-name``, empty without one.
        self.vm = ""
        #: QEMU's process, as far as the socket knows, and descriptors passed to it.
        self.peer = Peer(pid or self._link.peer_pid())

    @property
    def backlog(self) -> int:
        """Bytes that QEMU has not taken yet."""
        return self._link.backlog

    @property
    def settled(self) -> bool:
        """Whether every command forwarded so far has been answered."""
        return not self.in_flight

    def on_drained(self, callback: Callable[[], None]) -> None:
        """Call *callback* whenever QEMU has taken everything."""
        self._link.on_drained = callback

    async def open(self, timeout: float | None) -> None:
        """Wait for the greeting and negotiate.

        :raise GlueError: QEMU does not greet within *timeout* seconds, or not as QEMU does.
        """
        assert self._greeted is not None
        self.known = "greeting" in self._notes
        if self.known:
            self.greeting = self._notes["greeting"].encode("utf-8", "surrogateescape")
            self._greeted = None
        else:
            self._replay()
            self._link.resume()
            try:
                # Not wait_for(): it can swallow a cancellation that comes with the answer.
                async with asyncio.timeout(timeout):
                    self.greeting = await self._greeted
            except TimeoutError:
                assert timeout is not None
                raise SilentError(
                    f"QEMU did not greet within {timeout:g} s: another client may hold this monitor"
                ) from None
        try:
            told = json.loads(self.greeting)["QMP"]
            self.offered = frozenset(told["capabilities"])
        except (ValueError, KeyError, TypeError):
            raise GarbageError("the peer does not greet as a QMP server does") from None
        self.version = QemuVersion.read(told.get("version"), self.name)
        if self._ledger:
            generation = self._notes.get("generation", 0) + 1
            self._ledger.note(nonce=self._nonce, generation=generation)
            self.peer.passed.update(self._ledger.passed())
        if self.known:
            return
        enable = sorted(self.offered & {"oob"})
        try:
            await self._run("qmp_capabilities", {"enable": enable}, timeout)
        except CommandError:
            # The guard before had come so far, and not further.
            if not self._notes:
                raise
        await self._introduce(timeout)
        if self._ledger:
            self._ledger.note(greeting=self.greeting.decode("utf-8", "surrogateescape"))

    async def _introduce(self, timeout: float | None) -> None:
        with contextlib.suppress(CommandError, AttributeError):
            told = await self.execute("query-name", seconds=timeout)
            self.vm = str(told.get("name", ""))

    async def go_on(self) -> None:
        """Take up where the guard before this one stopped: all it sent is answered afterwards.

        :raise GlueError: QEMU is gone.
        """
        assert self._lane
        if self._ledger and self._ledger.from_client.spoilt:
            # Half a message may have gone; this is where QEMU's parser begins anew.
            self._link.send(b"\xff\n")
        self._replay()
        self._link.resume()
        await self._introduce(None)

    def _replay(self) -> None:
        if self._lane:
            done, self._lane.count = self._lane.done, self._lane.first
            messages = self._splitter.feed(self._lane.content())
            skipped = min(len(messages), max(0, done - self._lane.count))
            self._lane.count += skipped
            self._take(messages[skipped:], [])

    def close(self) -> None:
        """Leave QEMU alone; its monitor is free for another client."""
        self._link.close()
        self._lose("the guard closed the connection")

    def send(self, command: Json, fds: Sequence[int] = (), mark: int = 0) -> None:
        """Forward a client's command, re-serialised.

        :param mark: how many of the client's messages are done with then.
        """
        self._flush()
        self.in_flight += 1
        self._link.send(wire_bytes(command), fds, (mark, 0))

    def _flush(self) -> None:
        asked, self._asked = bytes(self._asked), bytearray()
        self._link.send(asked)

    async def execute(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        seconds: float | None = COMMAND_SECONDS,
    ) -> Any:
        """Put a question of the guard's own; see :meth:`qmp_glue.asks.Asks.execute`.

        :raise NotAQuestionError: the command has an effect.
        """
        questions.check(command, arguments)
        return await self._run(command, arguments, seconds)

    async def relay(self, command: Json, fds: Sequence[int]) -> dict[str, Json]:
        """Run a client's command that carries descriptors, and return the reply to it.

        :raise GlueError: QEMU is gone.
        """
        reply = await self._ask({**command}, fds, None)
        reply.pop("id", None)
        if "id" in command:
            reply["id"] = command["id"]
        return reply

    async def _ask(
        self, message: dict[str, Json], fds: Sequence[int], seconds: float | None
    ) -> dict[str, Any]:
        if self.lost.done():
            close_all(fds)
            raise LostError(self.lost.result())
        self._count += 1
        token = message["id"] = f"{self._nonce}{self._count}"
        future: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        self._waiting[token] = future
        if fds:
            self._flush()
            self._link.send(wire_bytes(message), fds)
        else:
            # What is asked in one go leaves in one write.
            if not self._asked:
                self._loop.call_soon(self._flush)
            self._asked += wire_bytes(message)
        try:
            async with asyncio.timeout(seconds):
                reply = await future
        except TimeoutError:
            name = message["execute"]
            raise SilentError(f"QEMU did not answer {name} within {seconds:g} s") from None
        return reply

    async def _run(
        self, command: str, arguments: Mapping[str, Any] | None, seconds: float | None
    ) -> Any:
        message: dict[str, Json] = {"execute": command}
        if arguments:
            message["arguments"] = dict(arguments)
        reply = await self._ask(message, (), seconds)
        if "error" in reply:
            error = reply["error"]
            raise CommandError(command, str(error.get("class", "")), str(error.get("desc", "")))
        return reply.get("return")

    async def settle(self, *, timeout: float | None = None) -> None:
        """Wait until everything forwarded so far has been answered.

        :raise GlueError: QEMU is gone, or *timeout* seconds have passed.
        """
        if not self.settled:
            # Permitted in every run state; what it answers does not matter.
            await self.execute("query-version", seconds=timeout)

    def pause(self) -> None:
        """Stop taking what QEMU says."""
        self._link.pause()

    def resume(self) -> None:
        """Go on taking what QEMU says."""
        self._link.resume()

    def _on_bytes(self, data: bytes, fds: list[int]) -> None:
        try:
            messages = self._splitter.feed(data)
        except OversizeError as exc:
            close_all(fds)
            self._link.close()
            self._lose(str(exc))
            return
        self._take(messages, fds)

    def _take(self, messages: list[bytes], fds: Sequence[int]) -> None:
        if self._lane:
            self._lane.count += len(messages)
        if self._greeted is not None and messages:
            if not self._greeted.done():
                self._greeted.set_result(messages[0])
            self._greeted = None
            messages = messages[1:]
        if self._waiting or self._notes:
            messages = [each for each in messages if not self._is_own(each)]
        replies = 0
        for message in messages:
            if is_event(message):
                self.shut_down = self.shut_down or b'"SHUTDOWN"' in message
            else:
                replies += 1
        self.in_flight = max(0, self.in_flight - replies)
        if messages or fds:
            self._forward(b"".join(messages), fds, self._lane.count if self._lane else 0)
        if self._lane:
            if self.committed():
                self._lane.pass_all()
            self._lane.tidy(self._splitter.pending)
        if replies and self.on_replied:
            self.on_replied()

    def _is_own(self, message: bytes) -> bool:
        """Take a reply to a command of the guard's own."""
        if self._mark not in message:
            return False
        try:
            reply = json.loads(message)
        except ValueError:
            reply = {"error": {"desc": "QEMU's answer is not JSON"}}
            # The id is still in it; find out whose answer it is.
            found = [token for token in self._waiting if f'"{token}"'.encode() in message]
            future = self._waiting.pop(found[0], None) if found else None
        else:
            if not isinstance(reply, dict) or not isinstance(reply.get("id"), str):
                return False
            if not reply["id"].startswith(self._nonce):
                return False
            future = self._waiting.pop(reply["id"], None)
        if future and not future.done():
            future.set_result(reply)
        return True

    def _on_end(self, error: OSError | None) -> None:
        self._link.close()
        self._lose(f"the connection to QEMU broke: {error.strerror}" if error else "QEMU closed")

    def _lose(self, reason: str) -> None:
        if not self.lost.done():
            self.lost.set_result(reason)
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(LostError(reason))
        if self._greeted is not None and not self._greeted.done():
            self._greeted.set_exception(LostError(f"{reason} before it greeted"))
            # Nobody may be waiting any more.
            self._greeted.exception()
