"""Ways around the guard, each tried on real QEMUs: refused, and its harmless neighbour passes.

The guard starts QEMU, as ``guestmap guard -- QEMU`` does; a second monitor tells the truth.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from kit import ROOT
from kit.guard import listening, wait_for
from kit.qemus import VERSIONS, program_of
from labkit.qmp import Client, GoneError

from planner.span import MIB, Span
from qmp_glue.asks import Asks, QemuVersion
from qmp_glue.guard.identity import qemu_pid

pytestmark = pytest.mark.qemu

#: In q35's device memory, which starts at 4 GiB.
HOLE = Span.sized(0x1_4000_0000, 512 * MIB)
#: In q35's 32-bit PCI window.
LOW = Span.sized(0xE000_0000, 256 * MIB)
PORTS = [
    word
    for at in range(3)
    for word in ("-device", f"pcie-root-port,id=rp{at},chassis={at + 1},slot={at + 1}")
]
Q35 = ("-M", "q35,nvdimm=on", "-m", "256M,slots=8,maxmem=16G", *PORTS)
FORMAT = "/sys/kernel/iommu_groups/3/reserved_regions:0x{:016x} 0x{:016x} reserved\n"


class Scene:
    """A guard with a QEMU of its own, a client of the guard and one of the truth."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.folder = folder
        self.process = process
        self.guard = Client(folder / "g")
        self.truth = Client(folder / "truth")

    def ask(self, command: str, arguments: dict[str, Any] | None = None) -> dict[str, Any]:
        message = {"execute": command, "arguments": arguments or {}}
        self.guard.send(json.dumps(message).encode())
        reply: dict[str, Any] = self.guard.reply()
        return reply

    def human(self, line: str) -> dict[str, Any]:
        return self.ask("human-monitor-command", {"command-line": line})

    def refused(self, command: str, **arguments: Any) -> str:
        """Say how a command was refused; underscores of the keys are hyphens."""
        told = self.ask(command, hyphens(arguments))
        assert "error" in told, (command, arguments)
        words = str(told["error"]["desc"])
        assert words.startswith("guestmap MM"), words
        return words

    def passes(self, command: str, **arguments: Any) -> None:
        told = self.ask(command, hyphens(arguments))
        assert told.get("return") in ({}, ""), (command, arguments, told)

    def memory(self, name: str, size: int = 128 * MIB) -> str:
        self.passes("object-add", qom_type="memory-backend-ram", id=name, size=size)
        return name

    def flat(self, span: Span) -> list[str]:
        """Return the lines of the flat view with memory in *span*: read by itself."""
        told = self.truth.command("human-monitor-command", command_line="info mtree -f")
        text = told["return"].replace("\r", "")
        view = text[text.index('AS "memory"') :].split("\n\n")[0]
        line = r"\s+([0-9a-f]{16})-([0-9a-f]{16}) \(prio -?\d+, (?:ram|rom|nv-ram|ramd)\): .*"
        return [
            found[0].strip()
            for found in re.finditer(line, view)
            if int(found[1], 16) < span.end and int(found[2], 16) >= span.start
        ]


def hyphens(arguments: dict[str, Any]) -> dict[str, Any]:
    return {
        key.replace("__", "\0").replace("_", "-").replace("\0", "_"): value
        for key, value in arguments.items()
    }


@contextlib.contextmanager
def scene(
    folder: Path,
    qemu: Sequence[str],
    *options: str,
    hole: Span = HOLE,
    scope: str = "host",
) -> Iterator[Scene]:
    (folder / "host.txt").write_text(FORMAT.format(hole.start, hole.last))
    host = () if "--host" in options else ("--host", "host.txt")
    command = [sys.executable, "-m", "planner.cli", "guard", "--listen", "unix:g", *host]
    command += ["--scope", scope, "--log", "log", *options, "--", *qemu]
    command += ["-S", "-display", "none", "-nodefaults"]
    command += ["-qmp", f"unix:{folder}/truth,server=on,wait=off"]
    folder.chmod(0o700)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (folder / "stderr").open("wb") as err:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stderr=err
        )
    try:
        wait_for(lambda: listening("g", folder / "truth") or process.poll() is not None)
        assert process.poll() is None, (folder / "stderr").read_text()
        made = Scene(folder, process)
        with made.guard, made.truth:
            yield made
    finally:
        process.terminate()
        process.wait(20)


def unix(path: Path | str) -> dict[str, Any]:
    address = {"type": "unix", "data": {"path": str(path)}}
    return {"type": "socket", "data": {"addr": address, "server": True, "wait": False}}


@pytest.mark.parametrize("version", VERSIONS)
def test_memdev_as_a_partial_path(version: str, tmp_path: Path) -> None:
    with scene(tmp_path, [program_of(version), *Q35]) as vm:
        kinds: list[tuple[str, str, dict[str, Any]]] = [
            ("pc-dimm", "addr", {}),
            ("nvdimm", "addr", {}),
            ("virtio-mem-pci", "memaddr", {"bus": "rp0", "requested_size": 128 * MIB}),
        ]
        for at, (driver, key, more) in enumerate(kinds):
            name = vm.memory(f"m{driver[:3]}")
            told = {"driver": driver, "id": driver[:3], key: HOLE.start, **more}
            words = vm.refused("device_add", memdev=f"objects/{name}", **told)
            assert f"memdev 'objects/{name}' is neither ID nor /objects/ID" in words
            assert "MM401" in vm.refused("device_add", memdev=name, **told)
            reply = vm.human(f"device_add {driver},memdev=objects/{name},{key}={HOLE.start:#x}")
            assert "is neither ID nor /objects/ID" in reply["error"]["desc"]
            beside = told | {key: HOLE.end + at * 128 * MIB}
            vm.passes("device_add", memdev=f"/objects/{name}", **beside)
            assert_clear(vm)


def assert_clear(vm: Scene, span: Span = HOLE) -> None:
    assert vm.flat(span) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_objects_that_are_monitors_or_write_memory(version: str, tmp_path: Path) -> None:
    with scene(tmp_path, [program_of(version), *Q35]) as vm:
        for kind in ("monitor-qmp", "monitor-hmp", "qtest"):
            path = tmp_path / kind
            vm.passes("chardev-add", id=f"c-{kind}", backend=unix(path))
            words = vm.refused("object-add", qom_type=kind, id=kind, chardev=f"c-{kind}")
            assert words.startswith(f"guestmap MM703: not through the guard: object type '{kind}'")
            reply = vm.human(f"object_add {kind},id={kind},chardev=c-{kind}")
            assert "MM703" in reply["error"]["desc"]
        vm.passes("object-add", qom_type="iothread", id="t0")
        told = vm.truth.command("qom-list", path="/objects")["return"]
        names = {each["name"] for each in told}
        assert "t0" in names
        assert not names & {"monitor-qmp", "monitor-hmp", "qtest"}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("place", ["g", "./g", "{folder}/g", "{folder}/link"])
def test_a_chardev_at_the_guards_own_socket(version: str, tmp_path: Path, place: str) -> None:
    with scene(tmp_path, [program_of(version), *Q35]) as vm:
        (tmp_path / "link").symlink_to(tmp_path / "g")
        path = place.format(folder=tmp_path)
        before = (tmp_path / "g").stat().st_ino
        told = vm.refused("chardev-add", id="c", backend=unix(path))
        assert f"'{path}' is the place of a socket of the guard's own" in told
        address = {"type": "unix", "path": path}
        for command, more in (
            ("netdev_add", {"type": "stream", "id": "n", "server": True, "addr": address}),
            ("nbd-server-start", {"addr": {"type": "unix", "data": {"path": path}}}),
        ):
            assert "the place of a socket" in vm.refused(command, **more)
        reply = vm.human(f"chardev-add socket,id=c,path={path},server=on,wait=off")
        assert "the place of a socket" in reply["error"]["desc"]
        assert (tmp_path / "g").stat().st_ino == before
        vm.passes("nbd-server-start", addr={"type": "unix", "data": {"path": f"{tmp_path}/nbd"}})


@pytest.mark.parametrize("version", VERSIONS)
def test_ports_written_by_hmp(version: str, tmp_path: Path) -> None:
    with scene(tmp_path, [program_of(version), *Q35, "-device", "VGA,addr=5"], hole=LOW) as vm:
        for line in ("o /4 0xcf8 0x80002810", "o/4 0xcfc 0xe0000000", " o /4 0xcfc 7"):
            assert "MM703" in vm.human(line)["error"]["desc"]
        assert "return" in vm.human("i /4 0xcf8")
        assert_clear(vm, LOW)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_migration_that_makes_qemu_another_program(version: str, tmp_path: Path) -> None:
    with scene(tmp_path, [program_of(version), "-M", "q35", "-m", "64M"]) as vm:
        told = vm.refused(
            "migrate-set-parameters", mode="cpr-exec", cpr_exec_command=["/bin/sleep", "20"]
        )
        assert "migration mode 'cpr-exec' makes QEMU another program (--allow-exec)" in told
        reply = vm.human("migrate_set_parameter mode cpr-exec")
        assert "MM703" in reply["error"]["desc"]
        if version == "11.1":
            # Set past the guard: the guard asks for what is.
            vm.truth.command(
                "migrate-set-parameters", mode="cpr-exec", cpr_exec_command=["/bin/sleep", "20"]
            )
            assert "MM703" in vm.refused("migrate", uri=f"file:{tmp_path}/state")
            assert "MM703" in vm.human(f"migrate file:{tmp_path}/state")["error"]["desc"]
            vm.truth.command("migrate-set-parameters", mode="normal")
        vm.passes("migrate-set-parameters", downtime_limit=100)
        vm.passes("migrate", uri=f"exec:cat > {tmp_path}/state")
        wait_for(lambda: status(vm) == "completed", "migration")


def status(vm: Scene) -> Any:
    return vm.truth.command("query-migrate")["return"].get("status")


def test_cpr_exec_may_be_allowed(tmp_path: Path) -> None:
    with scene(tmp_path, [program_of("7.2"), "-M", "q35", "-m", "64M"], "--allow-exec") as vm:
        reply = vm.ask("migrate-set-parameters", {"mode": "cpr-exec"})
        # 7.2 has no modes, and says so itself.
        assert reply["error"]["desc"] == "Parameter 'mode' is unexpected"


def test_an_unaligned_address_where_the_machine_aligns_to_pages(tmp_path: Path) -> None:
    # QEMU 7.2 still has such a machine; 10.0 and 11.1 have none.
    machine = ("-M", "pc-i440fx-2.1", "-m", "256M,slots=8,maxmem=16G")
    with scene(tmp_path, [program_of("7.2"), *machine]) as vm:
        name = vm.memory("m1")
        for addr in (HOLE.start + 4096, HOLE.start - 128 * MIB + 4096, HOLE.last - 4095):
            told = vm.refused("device_add", driver="pc-dimm", memdev=name, addr=addr)
            assert "MM401" in told
        assert_clear(vm)
        vm.passes("device_add", driver="pc-dimm", memdev=name, addr=HOLE.end + 4096)
        # 1 GiB minus 4 KiB under the hole: aligned to pages, the next would fit between.
        vm.passes("device_add", driver="pc-dimm", memdev=vm.memory("m2", (1 << 30) - 4096))
        for at in range(3, 6):
            vm.passes("device_add", driver="pc-dimm", memdev=vm.memory(f"m{at}", 4096 * at))
        assert_clear(vm)


class Asking(Asks):
    """Questions to a QEMU over a blocking client."""

    def __init__(self, client: Client) -> None:
        self.name = "test"
        self.version = QemuVersion(7, 2, 0, "")
        self.client = client

    async def execute(self, command: str, arguments: Any = None, seconds: Any = None) -> Any:
        return self.client.command(command, **arguments or {})["return"]


WRAPPER = """\
#!/bin/sh
# QEMU is a child, under another name, and the guard knows the pid of this shell.
"$@" -name vm,process=innocent &
echo $! > pid
wait
"""


@pytest.mark.parametrize("version", VERSIONS)
def test_whatever_qemus_process_is_called(version: str, tmp_path: Path) -> None:
    wrapper = tmp_path / "manager"
    wrapper.write_text(WRAPPER)
    wrapper.chmod(0o755)
    qemu = [str(wrapper), program_of(version), *Q35]
    with scene(tmp_path, qemu, scope="assigned") as vm:
        pid = int((tmp_path / "pid").read_text())
        assert Path(f"/proc/{pid}/comm").read_text() == "innocent\n"
        for told in (pid, vm.process.pid, os.getpid(), None):
            assert asyncio.run(qemu_pid(Asking(vm.truth), told)) == pid
        name = vm.memory("m1")
        vm.passes("device_add", driver="pc-dimm", memdev=name, addr=HOLE.start)
        vm.truth.command("quit")


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_qemu_whose_process_is_not_seen(elsewhere: bool, tmp_path: Path) -> None:
    """In a pid namespace of its own QEMU's thread ids mean other threads here."""
    qemu = ["unshare", "--map-root-user", "--pid", "--fork", program_of("7.2"), *Q35]
    qemu += ["-qmp", f"unix:{tmp_path}/hand,server=on,wait=off"]
    word = ["--elsewhere"] if elsewhere else []
    by_hand = [sys.executable, "-m", "planner.cli", "hotplug", "--qmp", f"unix:{tmp_path}/hand"]
    by_hand += ["--host", f"{tmp_path}/host.txt", "--dry-run", *word]
    plug = {"driver": "pc-dimm", "memdev": "m1", "addr": HOLE.start}
    with scene(tmp_path, qemu, *word, scope="assigned") as vm:
        vm.memory("m1")
        told = subprocess.run(
            [*by_hand, f"pc-dimm,id=d1,memdev=m1,addr={HOLE.start}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if elsewhere:
            assert told.returncode == 0, told.stdout + told.stderr
            vm.passes("device_add", **plug)
        else:
            words = "which process is QEMU's, and so what it holds, cannot be told"
            assert words in told.stdout
            assert told.returncode == 1
            assert words in vm.refused("device_add", **plug)
        vm.truth.command("quit")


@pytest.mark.parametrize("version", VERSIONS)
def test_two_names_for_one_device(version: str, tmp_path: Path) -> None:
    with scene(tmp_path, [program_of(version), *Q35], scope="assigned") as vm:
        told = vm.refused(
            "device_add",
            driver="vfio-pci",
            bus="rp0",
            fd="7",
            sysfsdev="/sys/bus/pci/devices/0000:00:00.0",
        )
        assert "it names its host device more than once, by sysfsdev= and fd=" in told
        # QEMU takes no name that begins with a digit: nor does the guard remember it.
        with Path("/dev/null").open("rb") as file:
            message = {"execute": "getfd", "arguments": {"fdname": "7"}, "id": "x"}
            socket.send_fds(vm.guard.sock, [json.dumps(message).encode()], [file.fileno()])
            reply = vm.guard.reply()
            assert reply["id"] == "x"
            assert "not starting with a digit" in reply["error"]["desc"]
            assert "/dev/null" not in vm.refused("device_add", driver="vfio-pci", fd="7")
            message["arguments"] = {"fdname": "seven"}
            socket.send_fds(vm.guard.sock, [json.dumps(message).encode()], [file.fileno()])
            assert vm.guard.reply() == {"return": {}, "id": "x"}
            assert "'/dev/null'" in vm.refused("device_add", driver="vfio-pci", fd="seven")


@pytest.mark.parametrize("version", VERSIONS)
def test_memory_in_bars(version: str, tmp_path: Path) -> None:
    backends = [
        *("-object", "memory-backend-ram,id=sh,size=4M,share=on"),
        *("-object", "memory-backend-ram,id=pm,size=4M"),
    ]
    (tmp_path / "rom").write_bytes(b"\x55\xaa\x08" + bytes(4093))
    with scene(tmp_path, [program_of(version), *Q35, *backends], hole=LOW) as vm:
        for driver, more in (
            ("ivshmem-plain", {"memdev": "sh"}),
            ("bochs-display", {}),
            ("secondary-vga", {}),
            ("qxl", {}),
            ("nvme", {"serial": "1", "pmrdev": "pm"}),
            ("virtio-rng-pci", {"romfile": "rom"}),
            ("e1000e", {}),
        ):
            told = vm.refused("device_add", driver=driver, bus="rp0", **more)
            assert "anywhere in pci-mmio32 [" in told
            assert "which covers reserved [0xe0000000-0xefffffff] of group 3" in told
        vm.passes("device_add", driver="e1000e", bus="rp0", romfile="")
        vm.passes("device_add", driver="virtio-rng-pci", bus="rp1")


@pytest.mark.parametrize("version", VERSIONS)
def test_several_hosts_are_the_union(version: str, tmp_path: Path) -> None:
    far = Span.sized(0x2_0000_0000, 1 << 30)
    (tmp_path / "first.txt").write_text(FORMAT.format(HOLE.start, HOLE.last))
    (tmp_path / "second.txt").write_text(FORMAT.format(far.start, far.last))
    hosts = ("--host", "first.txt", "--host", "second.txt")
    with scene(tmp_path, [program_of(version), *Q35], *hosts) as vm:
        name = vm.memory("m1")
        for hole in (HOLE, far):
            told = vm.refused("device_add", driver="pc-dimm", memdev=name, addr=hole.start)
            assert f"covers reserved [{hole}]" in told
        vm.passes("device_add", driver="pc-dimm", memdev=name, addr=HOLE.end)


#: Modules of a QEMU 10.0: none for a QEMU 7.2, as after an upgrade under a running VM.
MODULES = ROOT / ".cache" / "apt-bookworm-backports" / "root" / "usr" / "lib"


@pytest.mark.parametrize(
    "version", [pytest.param("7.2", marks=() if MODULES.exists() else (pytest.mark.long,))]
)
def test_the_guards_questions_load_no_modules(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (modules,) = MODULES.glob("*-linux-gnu/qemu")
    monkeypatch.setenv("QEMU_MODULE_DIR", str(modules.resolve()))
    disk = ("-blockdev", "null-co,node-name=b0,size=67108864")
    with scene(tmp_path, [program_of(version), *Q35, *disk]) as vm:
        vm.passes("device_add", driver="virtio-net-pci", bus="rp0", id="nic")
        vm.passes("device_add", driver="virtio-blk-pci", bus="rp1", drive="b0", id="disk")
        port = vm.ask("device_add", {"driver": "pcie-root-port", "id": "port", "chassis": 9})
        assert "guestmap" not in str(port)
        assert "'tea-pot' stands in no table" in vm.refused("device_add", driver="tea-pot")
        assert "MM401" in vm.refused(
            "device_add", driver="pc-dimm", memdev=vm.memory("m1"), addr=HOLE.start
        )
        assert vm.truth.command("query-status")["return"]["status"] == "prelaunch"
        # What must not be asked would have ended it.
        with contextlib.suppress(GoneError):
            vm.truth.command("qom-list-types", implements="memory-device")
        with pytest.raises(GoneError):
            vm.truth.command("query-status")


SERVER = "server=on,wait=off"


STREAMS = [
    ("-serial", f"mon:unix:ser,{SERVER}"),
    ("-parallel", f"mon:unix:par,{SERVER}"),
    ("-gdb", f"unix:gdb,{SERVER}"),
    ("-qtest", f"unix:qt,{SERVER}"),
]
OBJECTS = [("-object", "qtest,id=q0,chardev=c0")]
NEWEST = [
    ("-object", "monitor-hmp,id=q1,chardev=c1"),
    ("-object", json.dumps({"qom-type": "monitor-qmp", "id": "q2", "chardev": "c2"})),
]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ["streams", "objects"])
def test_other_ways_to_memory_on_the_command_line_are_named(
    version: str, kind: str, tmp_path: Path
) -> None:
    # QEMU takes one qtest.
    given = STREAMS if kind == "streams" else OBJECTS + (NEWEST if version == "11.1" else [])
    chardevs = [
        word for at in range(3) for word in ("-chardev", f"socket,id=c{at},path=qx{at},{SERVER}")
    ]
    words = [word for pair in given for word in pair]
    with scene(tmp_path, [program_of(version), "-M", "q35", *chardevs, *words]) as vm:
        vm.passes("stop")
    log = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    named = [line["option"] for line in log if line["event"] == "other-monitor"]
    truth = f"-qmp unix:{tmp_path}/truth,{SERVER}"
    assert named == [*(" ".join(pair) for pair in given), truth]
