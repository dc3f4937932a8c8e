"""The middlebox before a real QEMU: a client cannot tell it from QEMU's own monitor."""

from __future__ import annotations

import array
import asyncio
import contextlib
import json
import os
import random
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kit.guard import Everything, Guard, Memory, Vm, running, wait_for
from labkit.qmp import Client
from qemu.qmp import QMPClient
from qemu.qmp.error import QMPError

from qmp_glue.asks import Asks
from qmp_glue.guard.values import Json
from qmp_glue.guard.verdicts import Pass, Peer, Refuse, Rewrite, Verdict

pytestmark = pytest.mark.qemu

Q35 = ("-M", "q35", "-m", "128M,slots=8,maxmem=4G")


@pytest.fixture
def vm(tmp_path: Path) -> Iterator[Vm]:
    with running(Vm(tmp_path, "qemu-system-x86_64", *Q35)) as made:
        yield made


@pytest.fixture
def guard(tmp_path: Path, vm: Vm) -> Iterator[Guard]:
    with running(Guard(tmp_path, vm.qmp)) as made:
        yield made


# Replies that tell when or where they were made.
_VARIES = re.compile(rb'"(seconds|microseconds|pid|filename|fdset-id|fd)": ?("[^"]*"|\d+)')


def transcript(path: Path, writes: list[bytes], marks: list[bytes]) -> bytes:
    """Send *writes*, one after the other's mark was seen; return everything that was said."""
    with Client(path, caps=False) as client:
        said = client.line()
        for data, mark in zip(writes, marks, strict=True):
            client.send(data)
            fresh = b""
            while mark not in fresh:
                line = client.line()
                assert line, (data, said[-500:])
                fresh += line
            said += fresh
    return _VARIES.sub(b"", said)


NEGOTIATION = [
    b'{"execute":"query-name","id":3}',
    b'{"foo":1,"id":3}',
    b'{"execute":1,"id":4}',
    b"[1]",
    b'{"a":1,"a":2}',
    b'{"exec-oob":"query-name","id":3}',
    b'{"id":7}',
    b'{"execute":"qmp_capabilities","arguments":{"enable":["foo"]},"id":1}',
    b'{"execute":"qmp_capabilities","arguments":{"enable":"oob"}}',
    b'{"execute":"qmp_capabilities","arguments":{"enable":[1]}}',
    b'{"execute":"qmp_capabilities","arguments":{"enable":["oob",null]}}',
    b'{"execute":"qmp_capabilities","arguments":{"enabl":["oob"]}}',
    b'{"execute":"qmp_capabilities","arguments":{"enable":[],"x":2}}',
    b'{"execute":"qmp_capabilities","arguments":[]}',
    b'{"execute":"qmp_capabilities","x":[]}',
    b'{"execute":"qmp_capabilities","arguments":{"enable":null}}',
]


@pytest.mark.parametrize("enable", [b"", b'"oob","oob"'])
def test_negotiation_is_qemus(vm: Vm, guard: Guard, enable: bytes) -> None:
    writes = [
        *NEGOTIATION,
        b'{"execute":"qmp_capabilities","arguments":{"enable":[%s]},"id":"z"}' % enable,
        b'{"execute":"qmp_capabilities","id":{"again":1}}',
        b'{"exec-oob":"query-yank","id":"y"}',
        b'{"exec-oob":"query-name","id":3}',
        b'{"exec-oob":"query-yank","execute":"stop","id":3}',
        b'{"exec-oob":1,"id":3}',
        b'{"exec-oob":"query-yank","zz":3,"id":9}',
        b'{"execute":"stop","arguments":3,"id":1}',
    ]
    marks = [b"\n"] * len(writes)
    direct = transcript(vm.truth, writes, marks)
    through = transcript(guard.path, writes, marks)
    # The two monitors are different character devices; yank knows them by name.
    assert through.replace(b"compat_monitor0", b"X") == direct.replace(b"compat_monitor0", b"X")


_HMP = b'"execute":"human-monitor-command","arguments":{"command-line":"%s"}'


def mixed_writes(count: int, seed: int) -> tuple[list[bytes], list[bytes]]:
    """Make writes of one to five commands: good, bad, unknown, pretty, quoted, with odd ids."""
    rng = random.Random(seed)
    ids = [
        b"1",
        b"-0",
        b"1.50",
        b"1e400",
        b"123456789012345678901234567890",
        b"null",
        b"true",
        b'{"a":[1,{"b":2}]}',
        b'"\\u00e9\\ud834\\udd1e"',
        b"'it\"s'",
        b"[[[]]]",
    ]
    bodies = [
        b'"execute":"query-status"',
        b'"execute":"query-name"',
        b'"execute":"query-memory-devices"',
        b'"execute":"query-memory-size-summary"',
        b"'execute': 'query-version'",
        b'"execute":"query-kvm"',
        b'"execute":"qom-list","arguments":{"path":"/machine"}',
        b'"execute":"qom-list","arguments":{"path":"/nowhere"}',
        b'"execute":"qom-get","arguments":{"path":"/machine","property":"type"}',
        _HMP % b"info memory_size_summary",
        _HMP % b"info nothing",
        b'"execute":"nosuch"',
        b'"execute":"stop","arguments":{"x":1}',
        b'"execute":"object-add","arguments":{"qom-type":"iothread","id":"t%d"}' % 0,
        b'"execute":"object-add","arguments":{"qom-type":"memory-backend-ram","id":"m","size":1}',
        b'"execute":"object-del","arguments":{"id":"t0"}',
        b'"execute":"device_add","arguments":{"driver":"nosuch"}',
        b'"execute":"stop"',
        b'"execute":"query-block"',
        b'"execute":"query-chardev"',
        b'"execute":"query-pci"',
        b'"execute":"migrate-set-parameters","arguments":{"max-bandwidth":1e6}',
        b'"execute":"balloon","arguments":{"value":%d}' % (1 << 27),
        b'"bogus":1',
        b'"execute":7',
        b'"arguments":{}',
    ]
    bad = [b'{"a":1,"a":2}', b"\xff\n", b"[1,2}", b'"text"', b'{"x":%d}\n', b'{"e":01}\n', b"17 "]
    writes: list[bytes] = []
    marks: list[bytes] = []
    done = 0
    while done < count:
        data = b""
        for _ in range(rng.randint(1, 5)):
            done += 1
            if rng.random() < 0.08:
                data += rng.choice(bad)
                continue
            body = rng.choice(bodies)
            if rng.random() < 0.7:
                body += b',"id":' + rng.choice(ids)
            data += b"{" + body + b"}"
            data += rng.choice([b"", b"\n", b"\r\n", b"  \t\n\n"])
        mark = b'"END%d"' % len(writes)
        writes.append(data + b'\n{"execute":"query-name","id":%s}' % mark)
        marks.append(mark)
    caps = [b'{"execute":"qmp_capabilities","id":"caps"}']
    return caps + writes, [b'"caps"', *marks]


def test_2000_mixed_commands_get_the_same_replies(tmp_path: Path) -> None:
    writes, marks = mixed_writes(2000, 4)
    said = []
    for way in ("direct", "guarded"):
        folder = tmp_path / way
        folder.mkdir()
        with running(Vm(folder, "qemu-system-x86_64", *Q35)) as vm:
            if way == "direct":
                said.append(transcript(vm.qmp, writes, marks))
                continue
            # Judge some of what is in the mix, so that both ways through the guard are taken.
            judge = Everything(frozenset({"device_add", "object-add", "query-pci"}))
            with running(Guard(folder, vm.qmp, judge)) as guard:
                said.append(transcript(guard.path, writes, marks))
    assert said[0].count(b"\n") > 2000
    assert said[1] == said[0]


PIECES = [
    *(bytes([byte]) for byte in b"{}[]:,\"'\\-019.eE+% \n\t\x00\x01\x7f\xff\xfe\xc3"),
    *(b'"execute"', b'"id"', b'"query-name"', b'{"execute":"query-name"}', b"true", b"nul"),
    *(b'{"execute":"query-name","id":', b"01", b"1.5", b"0e1", b"1e400", b"99999999999999999999"),
    *(b'"\\ud834\\udd1e"', b'"\\ud834"', b'"\\u12"', b'"\\x"', b"'a\"b'", b'"\xc3\xa9"'),
    *(b'"\xc0\x80"', b'"\xed\xa0\x80"', b'"\xf8\x88\x80\x80\x80"', b'"x":1,"x":2', b"%d", b"A"),
]


def test_any_bytes_are_answered_as_qemu_answers_them(vm: Vm, guard: Guard) -> None:
    rng = random.Random(7)
    writes = [b'{"execute":"qmp_capabilities","id":"caps"}']
    marks = [b'"caps"']
    for at in range(400):
        noise = b"".join(rng.choice(PIECES) for _ in range(rng.randint(1, 14)))
        # 0xff ends whatever the noise has opened (docs/interop/qmp-spec).
        marks.append(b'"END%d"' % at)
        writes.append(noise + b'\n\xff\n{"execute":"query-name","id":%s}' % marks[-1])
    direct = transcript(vm.truth, writes, marks)
    assert transcript(guard.path, writes, marks) == direct
    assert direct.count(b"JSON parse error") > 400


def test_input_in_pieces_and_a_large_message(vm: Vm, guard: Guard) -> None:
    with Client(guard.path) as client:
        for byte in b"{ 'execute' :\n 'query-status', 'id': 'bytes' }":
            client.send(bytes([byte]))
        assert client.message()["id"] == "bytes"
        # QEMU reads byte by byte: enough to pass every buffer, not enough to wait for.
        large = "x" * (300 << 10)
        client.send(json.dumps({"execute": "query-name", "id": large}).encode())
        assert client.message() == {"return": {}, "id": large}


def test_out_of_band_overtakes_a_judgement(tmp_path: Path, vm: Vm) -> None:
    gate = threading.Event()

    class Slow(Everything):
        async def judge(self, command: dict[str, Json], asks: Asks, peer: Peer) -> Verdict:
            await asks.execute("query-status")
            while not gate.is_set():
                await asyncio.sleep(0.01)
            return Pass()

    judge = Slow(frozenset({"stop"}))
    with running(Guard(tmp_path, vm.qmp, judge)) as guard, Client(guard.path, oob=True) as client:
        client.send(b'{"execute":"query-name","id":1}{"execute":"stop","id":2}')
        client.send(b'{"execute":"query-name","id":3}{"exec-oob":"query-yank","id":4}')
        # The stop is held, and with it what follows; 4 comes through, even ahead of 1.
        assert {client.message()["id"] for _ in range(2)} == {1, 4}
        client.send(b'{"exec-oob":"stop","id":5}')
        assert client.message()["error"]["desc"] == "The command stop does not support OOB"
        gate.set()
        assert client.reply()["id"] == 2
        assert client.reply()["id"] == 3


def test_verdicts_take_their_place_in_the_order(tmp_path: Path, vm: Vm) -> None:
    class Opinion(Everything):
        async def judge(self, command: dict[str, Json], asks: Asks, peer: Peer) -> Verdict:
            told = command["arguments"]["path"]
            if told == "/refuse":
                return Refuse("guestmap: no")
            if told == "/rewrite":
                return Rewrite({**command, "arguments": {"path": "/machine"}})
            if told == "/break":
                raise ZeroDivisionError
            return Pass()

    journal = Memory()
    judge = Opinion(frozenset({"qom-list"}))
    with running(Guard(tmp_path, vm.qmp, judge, journal)) as guard, Client(guard.path) as client:
        for at, path in enumerate(["/refuse", "/rewrite", "/break", "/machine"]):
            client.send(b'{"execute":"query-status","id":"s%d"}{"e":}' % at)
            told = {"execute": "qom-list", "arguments": {"path": path}, "id": at}
            client.send(json.dumps(told).encode())
        replies = [client.message() for _ in range(12)]
        machine = client.command("qom-list", path="/machine")["return"]
    assert [reply.get("id") for reply in replies] == [
        *("s0", None, 0),
        *("s1", None, 1),
        *("s2", None, 2),
        *("s3", None, 3),
    ]
    assert replies[2]["error"] == {"class": "GenericError", "desc": "guestmap: no"}
    assert replies[5]["return"] == machine == replies[11]["return"]
    assert "the judgement failed" in replies[8]["error"]["desc"]
    assert journal.names().count("judged") == 5
    assert "error judge" in journal.names()


def test_events_come_through_and_only_after_negotiation(vm: Vm, guard: Guard) -> None:
    with Client(guard.path, caps=False) as client, Client(vm.truth) as truth:
        client.message()
        truth.command("cont")
        truth.command("stop")
        client.send(b'{"execute":"qmp_capabilities"}')
        assert client.message() == {"return": {}}
        truth.command("cont")
        assert client.message()["event"] == "RESUME"


def test_clients_take_turns(vm: Vm, guard: Guard) -> None:
    first = Client(guard.path)
    second = socket.socket(socket.AF_UNIX)
    with second:
        second.connect(str(guard.path))
        second.settimeout(0.3)
        with pytest.raises(TimeoutError):
            second.recv(1)
        first.send(b'{"execute":"query-status","id":"old"}' * 50)
        first.sock.close()
        second.settimeout(20)
        greeting = json.loads(second.recv(4096))
        assert greeting["QMP"]["capabilities"] == ["oob"]
        second.sendall(b'{"execute":"query-name","id":0}')
        # None of the first one's replies, and its negotiation is not this one's.
        assert json.loads(second.recv(4096))["id"] == 0


def test_a_backlog_is_dropped_with_its_client(vm: Vm, guard: Guard) -> None:
    with Client(guard.path) as client:
        client.send(b'{"execute":"query-qmp-schema"}' * 2000)
        assert client.line()
    started = time.monotonic()
    with Client(guard.path) as client:
        assert client.command("query-name") == {"return": {}}
        # 172 s, when all of them had been forwarded.
        assert time.monotonic() - started < 15
        # The order holds when more come at once than are let fly.
        client.send(b"".join(b'{"execute":"query-name","id":%d}' % n for n in range(100)))
        assert [json.loads(client.line())["id"] for _ in range(100)] == list(range(100))


def test_a_second_client_can_be_told(tmp_path: Path, vm: Vm) -> None:
    with running(Guard(tmp_path, vm.qmp, refuse_second=True)) as guard:
        with Client(guard.path), Client(guard.path, caps=False) as other:
            assert "another client is connected" in other.message()["error"]["desc"]
            assert other.ended()

        def served() -> bool:
            with Client(guard.path, caps=False) as again:
                return "QMP" in again.message()

        wait_for(served)


def test_a_client_that_stops_writing_is_still_answered(guard: Guard) -> None:
    with Client(guard.path, caps=False) as client:
        client.message()
        client.send(b'{"execute":"qmp_capabilities","id":0}')
        client.send(b'{"execute":"query-status","id":1}' * 100)
        client.sock.shutdown(socket.SHUT_WR)
        ids = [client.message()["id"] for _ in range(101)]
        assert ids == [0] + [1] * 100
        assert client.line() == b""


def test_a_client_that_does_not_read_is_let_go(tmp_path: Path, vm: Vm) -> None:
    journal = Memory()
    with running(Guard(tmp_path, vm.qmp, journal=journal, stall_seconds=0.5)) as guard:
        with Client(guard.path) as client:
            client.sock.settimeout(60)
            ask = b'{"execute":"query-qmp-schema"}'
            client.send(ask * 40)
            wait_for(lambda: "client-gone" in journal.names(), "letting go")
        with Client(guard.path) as client:
            assert client.command("query-name") == {"return": {}}
    assert ("client-gone", {"reason": "the client took nothing for 0.5 s"}) in journal.lines


def test_when_qemu_dies_the_client_hears_all_and_is_let_go(vm: Vm, guard: Guard) -> None:
    with Client(guard.path) as client:
        client.send(b'{"execute":"quit","id":1}')
        seen = []
        while line := client.line():
            seen.append(json.loads(line))
    assert {"return": {}, "id": 1} in seen
    assert "SHUTDOWN" in [each.get("event") for each in seen]
    wait_for(lambda: guard.outcome is not None)


def test_when_the_guard_dies_qemu_lives_and_its_monitor_is_free(tmp_path: Path, vm: Vm) -> None:
    for _ in range(3):
        with running(Guard(tmp_path, vm.qmp)) as guard, Client(guard.path) as client:
            assert client.command("query-name") == {"return": {}}
    with Client(vm.qmp) as client:
        assert client.command("query-status")["return"]["status"] == "prelaunch"


def send_with_fds(client: Client, data: bytes, *fds: int) -> None:
    rights = array.array("i", fds).tobytes()
    client.sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])


def test_descriptors_reach_qemu_with_their_command(tmp_path: Path, vm: Vm, guard: Guard) -> None:
    names = [tmp_path / f"file{at}" for at in range(4)]
    fds = [os.open(name, os.O_RDWR | os.O_CREAT) for name in names]

    def open_in_qemu() -> set[str]:
        found = set()
        for entry in Path(f"/proc/{vm.process.pid}/fd").iterdir():
            try:
                found.add(str(entry.readlink()))
            except OSError:
                continue
        return found

    with Client(guard.path) as client:
        # Several in flight at once, and one set sent ahead of its command.
        for at in (0, 1, 2):
            client.send(b'{"execute":"query-name","id":"before"}')
            told = {"execute": "add-fd", "arguments": {"fdset-id": at}, "id": at}
            send_with_fds(client, json.dumps(told).encode(), fds[at])
        send_with_fds(client, b'{"execute":"query-name","id":"carrier"}', fds[3])
        client.send(b'{"execute":"getfd","arguments":{"fdname":"three"},"id":3}')
        replies = [client.message() for _ in range(8)]
        assert [r for r in replies if "error" in r] == []
        assert [r["id"] for r in replies if r["id"] != "before"] == [0, 1, 2, "carrier", 3]
        fdsets = client.command("query-fdsets")["return"]
        assert sorted(entry["fdset-id"] for entry in fdsets) == [0, 1, 2]
        assert {str(name) for name in names} <= open_in_qemu()
        # Each set got the file that was sent with it.
        folder = Path(f"/proc/{vm.process.pid}/fd")
        for entry in fdsets:
            (told,) = entry["fds"]
            assert (folder / str(told["fd"])).readlink() == names[entry["fdset-id"]]
        missing = client.command("getfd", fdname="none")
        assert "No file descriptor supplied" in missing["error"]["desc"]
    for fd in fds:
        os.close(fd)
    mine = set()
    for entry in Path("/proc/self/fd").iterdir():
        # Listing and reading are two moments: what was closed between them is not kept.
        with contextlib.suppress(FileNotFoundError):
            mine.add(str(entry.readlink()))
    assert not {str(name) for name in names} & mine, "the guard kept a descriptor"


def test_socat_sees_what_it_would_see_of_qemu(vm: Vm, guard: Guard) -> None:
    script = b'{"execute":"qmp_capabilities"}\n{"execute":"query-version","id":"x"}\n'
    said = [
        subprocess.run(
            ["socat", "-t5", "-", f"UNIX-CONNECT:{path}"],
            input=script,
            capture_output=True,
            check=True,
            timeout=30,
        ).stdout
        for path in (vm.truth, guard.path)
    ]
    assert said[0] == said[1]
    assert said[0].count(b"\n") == 3


def test_the_qemu_qmp_client_works_through_it(guard: Guard) -> None:
    async def talk() -> Any:
        client = QMPClient("test")
        await client.connect(str(guard.path))
        status = await client.execute("query-status")
        with pytest.raises(QMPError, match="nosuch has not been found"):
            await client.execute("nosuch")
        with client.listener(("RESUME", "STOP")) as events:
            await client.execute("cont")
            event = await events.get()
        await client.disconnect()
        return status, event["event"]

    status, event = asyncio.run(talk())
    assert status["status"] == "prelaunch"
    assert event == "RESUME"


def test_qmp_shell_works_through_it(guard: Guard) -> None:
    shell = Path(sys.executable).parent / "qmp-shell"
    script = b"query-name\nquery-status\nnosuch\n"
    said = subprocess.run(
        [str(shell), str(guard.path)], input=script, capture_output=True, check=False, timeout=60
    )
    text = said.stdout.decode()
    assert '{"return": {}}' in text, said
    assert '"status": "prelaunch"' in text
    assert "The command nosuch has not been found" in text


def test_memory_stays_flat_over_many_commands(guard: Guard) -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1])

    with Client(guard.path) as client:
        ask = b'{"execute":"query-name","id":1}' * 50

        def ask_1000() -> None:
            for _ in range(20):
                client.send(ask)
                for _ in range(50):
                    client.line()

        ask_1000()
        before = resident()
        for _ in range(4):
            ask_1000()
    assert (resident() - before) * os.sysconf("SC_PAGE_SIZE") < 4 << 20


def test_an_impostor_is_not_taken_for_qemu(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(b'{"hello": "world"}\r\n')
        with pytest.raises(Exception, match="does not greet as a QMP server does"):
            Guard(tmp_path, lambda: ours)


def test_a_monitor_somebody_else_holds_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qmp_glue.guard.proxy._GREETING_SECONDS", 0.2)
    ours, theirs = socket.socketpair()
    with theirs, pytest.raises(Exception, match="another client may hold this monitor"):
        Guard(tmp_path, lambda: ours)
