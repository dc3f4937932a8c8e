"""The guest's agent: stale answers, silence and its causes, and rounds of onlining."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from planner.machine.request import MachineRequest, MemoryDevice
from planner.span import GIB, MIB
from qmp_glue.addresses import parse_monitor
from qmp_glue.agent import Agent
from qmp_glue.asks import Asks, QemuVersion
from qmp_glue.errors import CommandError, GarbageError, LostError, SilentError, UnreachableError
from qmp_glue.onlining import _why, online_pieces, unplugged, verify_pieces

BLOCK = 128 * MIB
BASE = 4 * GIB // BLOCK
QMP = parse_monitor("unix:/no/such")


class FakeGuest:
    """A guest with virtio-mem: eight blocks more whenever none is offline."""

    def __init__(self, total: int, online: int = 0, step: int = 8) -> None:
        self.total, self.step = total, step
        self.blocks = dict.fromkeys(range(BASE, BASE + online), True)
        self.refuses: set[int] = set()
        self.asked: list[str] = []
        self._grow()

    def _grow(self) -> None:
        if all(self.blocks.values()):
            for _ in range(min(self.step, self.total - len(self.blocks))):
                self.blocks[BASE + len(self.blocks)] = False

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        name, arguments = asked["execute"], asked.get("arguments", {})
        self.asked.append(name)
        if name == "guest-sync-delimited":
            return {"return": arguments["id"]}
        if name == "guest-get-memory-block-info":
            return {"return": {"size": BLOCK}}
        if name == "guest-get-memory-blocks":
            # In no order, as qemu-ga has them; the first one is boot memory.
            listed = [{"phys-index": i, "online": on} for i, on in reversed(self.blocks.items())]
            return {"return": [*listed, {"phys-index": 0, "online": True, "can-offline": True}]}
        told = []
        for wanted in arguments["mem-blks"]:
            index = wanted["phys-index"]
            if index in self.refuses:
                told.append({"phys-index": index, "response": "operation-failed", "error-code": 12})
            else:
                self.blocks[index] = True
                told.append({"phys-index": index, "response": "success"})
        self._grow()
        return {"return": told}


Answer = Callable[[dict[str, Any]], dict[str, Any] | bytes | None]


@contextmanager
def served(path: Path, answer: Answer, first: bytes = b"") -> Iterator[str]:
    """Serve one client at a time; None as answer is silence."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen(1)

    def serve() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            with client, client.makefile("rb") as lines:
                client.sendall(first)
                for line in lines:
                    mark = b"\xff" if line.startswith(b"\xff") else b""
                    said = answer(json.loads(line.lstrip(b"\xff")))
                    if said == b"":
                        break
                    if isinstance(said, dict):
                        said = mark + json.dumps(said).encode() + b"\n"
                    if said:
                        client.sendall(said)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"unix:{path}"
    finally:
        server.close()


def request(size: int, driver: str = "virtio-mem-pci") -> MachineRequest:
    device = MemoryDevice("dimm0", size, 4 * GIB, driver)
    return MachineRequest("virt", "7.2", "max", GIB, devices=(device,))


def test_what_was_said_to_others_is_skipped(tmp_path: Path) -> None:
    stale = (
        b'{"return": {"size": 1}}\n{"error": {"class": "GenericError", "desc": "stray"}}\n\xff{"ret'
    )
    guest = FakeGuest(9, 9)
    with (
        served(tmp_path / "a", guest.answer, stale + b"\n") as place,
        Agent.open(parse_monitor(place)) as agent,
    ):
        assert agent.block_bytes() == BLOCK
        blocks = agent.blocks()
    assert [block.index for block in blocks] == [0, *range(BASE, BASE + 9)]
    assert all(block.online for block in blocks)


def test_offline_and_absent_memory_is_told_by_address(tmp_path: Path) -> None:
    guest = FakeGuest(9)
    with served(tmp_path / "a", guest.answer) as place:
        found = verify_pieces(request(9 * BLOCK), QMP, parse_monitor(place))
    assert [(f.code, f.severity) for f in found] == [("MM610", "error"), ("MM611", "error")]
    assert found[0].message == (
        "'dimm0' [0x100000000-0x147ffffff]: 8 of 9 blocks of 128 MiB, from 0x100000000 on, are"
        " offline in the guest"
    )
    assert "1 of 9 blocks of 128 MiB, from 0x140000000 on, is absent" in found[1].message
    assert "its driver virtio_mem has to be loaded" in found[1].help


def test_a_dimm_nobody_takes_is_absent(tmp_path: Path) -> None:
    guest = FakeGuest(0)
    with served(tmp_path / "a", guest.answer) as place:
        (found,) = verify_pieces(request(2 * BLOCK, "pc-dimm"), QMP, parse_monitor(place))
        (small,) = verify_pieces(request(BLOCK // 2, "pc-dimm"), QMP, parse_monitor(place))
    assert "2 of 2 blocks of 128 MiB are absent from the guest" in found.message
    assert "its kernel needs CONFIG_ACPI_HOTPLUG_MEMORY" in found.help
    assert "no whole block of 128 MiB is in it, and all of it is absent" in small.message


def test_three_gigabytes_come_online_in_rounds(tmp_path: Path) -> None:
    guest = FakeGuest(24)
    with served(tmp_path / "a", guest.answer) as place:
        assert online_pieces(request(24 * BLOCK), QMP, parse_monitor(place)) == []
        assert verify_pieces(request(24 * BLOCK), QMP, parse_monitor(place)) == []
    assert guest.asked.count("guest-set-memory-blocks") == 3
    assert guest.blocks == dict.fromkeys(range(BASE, BASE + 24), True)


def test_a_block_that_will_not_is_told_and_tried_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qmp_glue.onlining._STILL_SECONDS", 0.3)
    guest = FakeGuest(4)
    guest.refuses = {BASE + 2}
    with served(tmp_path / "a", guest.answer) as place:
        (found,) = online_pieces(request(4 * BLOCK), QMP, parse_monitor(place))
    assert found.code == "MM610"
    assert "1 of 4 blocks of 128 MiB, from 0x110000000 on, is offline" in found.message
    assert found.notes == (f"block {BASE + 2}: operation-failed, error 12",)
    assert guest.asked.count("guest-set-memory-blocks") == 1


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (lambda _: None, SilentError, "no answer to guest-sync-delimited within 0.2 seconds"),
        (lambda _: b"", LostError, "the connection ended"),
        (lambda _: {"return": -1}, SilentError, "no answer to guest-sync-delimited within"),
    ],
)
def test_nobody_answers(
    answer: Answer, error: type[Exception], message: str, tmp_path: Path
) -> None:
    with served(tmp_path / "a", answer) as place:
        begun = time.monotonic()
        with pytest.raises(error, match=message):
            Agent.open(parse_monitor(place), 0.2)
        assert time.monotonic() - begun < 3
    with pytest.raises(UnreachableError, match="cannot reach"):
        Agent.open(parse_monitor(f"unix:{tmp_path}/none"))


@pytest.mark.parametrize(
    ("said", "error", "message"),
    [
        (
            {"error": {"class": "CommandNotFound", "desc": "has been disabled"}},
            CommandError,
            "has been disabled",
        ),
        ({"return": {"no": 1}}, GarbageError, "told no list of memory blocks"),
        ({"nonsense": 1}, GarbageError, "answered something else"),
        (b"not json\n", GarbageError, "answered something else"),
    ],
)
def test_an_answer_that_is_none(
    said: dict[str, Any] | bytes, error: type[Exception], message: str, tmp_path: Path
) -> None:
    guest = FakeGuest(1)

    def answer(asked: dict[str, Any]) -> dict[str, Any] | bytes:
        return guest.answer(asked) if "sync" in asked["execute"] else said

    with (
        served(tmp_path / "a", answer) as place,
        Agent.open(parse_monitor(place), 1) as agent,
        pytest.raises(error, match=message),
    ):
        agent.blocks()


class Told(Asks):
    """A QEMU that answers what it is given."""

    name = "told"
    version = QemuVersion(9, 9, 9, "")

    def __init__(self, answers: dict[str, Any]) -> None:
        self._answers = answers

    async def execute(self, command: str, *_: Any, **__: Any) -> Any:
        return self._answers[command]


def port(filename: str, *, opened: bool) -> dict[str, Any]:
    return {"label": "ga", "filename": filename, "frontend-open": opened}


RUNNING = {"running": True, "status": "running"}


@pytest.mark.parametrize(
    ("status", "port_", "reason"),
    [
        (
            {"running": False, "status": "paused"},
            port("disconnected:unix:/s,server=on", opened=True),
            "it is paused",
        ),
        (
            RUNNING,
            port("disconnected:unix:/s,server=on", opened=False),
            "no agent has the port open",
        ),
        (RUNNING, port("unix:/s,server=on", opened=True), "another client holds the agent's"),
        (
            RUNNING,
            port("disconnected:unix:/s,server=on", opened=True),
            "the agent has the port open and hangs",
        ),
        (
            RUNNING,
            port("disconnected:unix:/other,server=on", opened=True),
            "no socket of this QEMU has that name",
        ),
    ],
)
def test_qemu_tells_why_nobody_answers(
    status: dict[str, Any],
    port_: dict[str, Any],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    qemu = Told({"query-status": status, "query-chardev": [port_]})
    monkeypatch.setattr(
        "qmp_glue.onlining.at_monitor", lambda _address, job: asyncio.run(job(qemu))
    )
    found = _why(SilentError("silence"), QMP, parse_monitor("unix:/s"))
    assert (found.code, found.severity, found.notes) == ("MM612", "error", ("silence",))
    assert found.message.startswith(f"the guest cannot be asked: {reason}")
    refused = _why(CommandError("c", "CommandNotFound", "disabled"), QMP, QMP)
    assert refused.message == "the guest cannot be asked: the agent refuses: disabled"


@pytest.mark.parametrize(
    ("status", "size", "said"),
    [
        (RUNNING, GIB, "'vm0' at 0x100000000: the guest has plugged 1 GiB of the 3 GiB asked for"),
        (RUNNING, 0, "'vm0' at 0x100000000: the guest has plugged nothing of the 3 GiB asked for"),
        (RUNNING, 3 * GIB, ""),
        ({"running": False, "status": "prelaunch"}, 0, ""),
    ],
)
def test_qemu_sees_a_guest_that_does_not_online(
    status: dict[str, Any], size: int, said: str
) -> None:
    data = {"id": "vm0", "memaddr": 4 * GIB, "size": size, "requested-size": 3 * GIB}
    dimm = {"id": "d0", "addr": 8 * GIB, "size": GIB}
    devices = [{"type": "virtio-mem", "data": data}, {"type": "dimm", "data": dimm}]
    qemu = Told({"query-status": status, "query-memory-devices": devices})
    found = asyncio.run(unplugged(qemu))
    assert [(f.code, f.severity, f.message) for f in found] == (
        [("MM610", "warning", said)] if said else []
    )
