"""The guard's cost: round trips and events, direct, through socat and through the guard.

All three ways lead to the same QEMU and are measured in turns, so that the machine's moods fall on
each alike; CPU time is what a busy machine does not change. Then pipelined throughput, the added
time of a judged device_add (plugs of both kinds in turns), the first answer after a start, and
memory after many commands.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from labkit.qmp import Client

ROOT = Path(__file__).resolve().parent.parent
MIB = 1 << 20
#: QEMU's monitors.
WAYS = ("direct", "behind", "inner", "source", "fresh")


@contextmanager
def process(*command: object) -> Iterator[subprocess.Popen[bytes]]:
    made = subprocess.Popen([*map(str, command)], stderr=subprocess.DEVNULL, cwd=ROOT)
    try:
        yield made
    finally:
        made.kill()
        made.wait()


def listening(path: Path) -> bool:
    table = Path("/proc/net/unix").read_text(encoding="utf-8")
    return any(line.endswith(f" {path}") and " 00010000 " in line for line in table.splitlines())


def wait_for(path: Path) -> None:
    end = time.monotonic() + 20
    while not listening(path):
        if time.monotonic() > end:
            raise SystemExit(f"nobody listens at {path}")
        time.sleep(0.01)


def guard(qmp: Path, path: Path, *options: object) -> ExitStack:
    stack = ExitStack()
    stack.made = stack.enter_context(  # type: ignore[attr-defined]
        process(
            *(sys.executable, "-m", "planner.cli", "guard", "--qmp", qmp, "--listen", path),
            *("--log", os.devnull, *options),
        )
    )
    wait_for(path)
    return stack


def quantiles(times: list[float]) -> tuple[float, float]:
    times.sort()
    return times[len(times) // 2] * 1e6, times[int(len(times) * 0.99)] * 1e6


def round_trips(clients: dict[str, Client], count: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {way: [] for way in clients}
    for number in range(count):
        ask = b'{"execute":"query-status","id":%d}\n' % number
        for way, client in clients.items():
            started = time.perf_counter()
            client.send(ask)
            while b'"event"' in client.line():
                pass
            times[way].append(time.perf_counter() - started)
    return times


def events(clients: dict[str, Client], source: Client, count: int) -> dict[str, list[float]]:
    """Time from a command on another monitor to the event at each client."""
    times: dict[str, list[float]] = {way: [] for way in clients}
    order = list(clients.items())
    for _ in range(count):
        for way, client in order:
            started = time.perf_counter()
            source.send(b'{"execute":"cont"}\n')
            while b'"event"' not in client.line():
                pass
            times[way].append(time.perf_counter() - started)
            # Everybody else heard it, too; the command's own answer comes before or after.
            for other, peer in order:
                if other != way:
                    peer.line()
            while b'"return"' not in source.line():
                pass
            source.send(b'{"execute":"stop"}\n')
            for _, peer in order:
                peer.line()
            while b'"return"' not in source.line():
                pass
    return times


def throughput(client: Client, count: int) -> float:
    """Commands a second, 50 in flight."""
    ask = b'{"execute":"query-name"}\n' * 50
    started = time.perf_counter()
    for _ in range(count // 50):
        client.send(ask)
        for _ in range(50):
            client.line()
    return count / (time.perf_counter() - started)


def plugs(clients: dict[str, Client], count: int) -> dict[str, list[float]]:
    """Return the times of a device_add of memory with an address, in turns."""
    times: dict[str, list[float]] = {way: [] for way in clients}
    for number in range(count):
        for at, (way, client) in enumerate(clients.items()):
            name = f"{way}{number}"
            client.command("object-add", qom_type="memory-backend-ram", id=f"m{name}", size=2 * MIB)
            base = (4 + at) << 30
            plug = {"driver": "pc-dimm", "id": name, "memdev": f"m{name}"}
            started = time.perf_counter()
            reply = client.command("device_add", **plug, addr=base + number * 2 * MIB)
            times[way].append(time.perf_counter() - started)
            if "error" in reply:
                raise SystemExit(str(reply))
    return times


def cpu(pid: int) -> float:
    """Return the CPU time of a process and of the children it has waited for, in µs."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK") * 1e6


def first_answer(qmp: Path, front: Path) -> float:
    """Return the seconds from a guard's start to its first answer."""
    started = time.perf_counter()
    with guard(qmp, front) as _, Client(front) as client:
        client.command("query-name")
        return time.perf_counter() - started


def show(title: str, times: dict[str, list[float]]) -> None:
    print(title)
    base = quantiles(times["socat"])
    for way, each in times.items():
        p50, p99 = quantiles(each)
        ratio = f"{p50 / base[0]:.2f} × socat   p99 {p99 / base[1]:.2f} × socat"
        print(f"  {way:<7} p50 {p50:7.0f} µs   p99 {p99:7.0f} µs   p50 {ratio}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5000, help="round trips each way")
    parser.add_argument("--many", type=int, default=100_000, help="commands for the memory figure")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        host = folder / "host.txt"
        host.write_text(
            "/sys/kernel/iommu_groups/3/reserved_regions:"
            "0x0000000200000000 0x00000002ffffffff reserved\n",
            encoding="ascii",
        )
        sockets = {way: folder / f"{way}.sock" for way in WAYS}
        command = ["qemu-system-x86_64", "-M", "q35", "-m", "128M,slots=256,maxmem=64G", "-S"]
        command += ["-display", "none", "-nodefaults"]
        for path in sockets.values():
            command += ["-qmp", f"unix:{path},server=on,wait=off"]
        stack.enter_context(process(*command))
        for path in sockets.values():
            wait_for(path)
        relay, front = folder / "socat.sock", folder / "guard.sock"
        relaying = stack.enter_context(
            process("socat", f"UNIX-LISTEN:{relay},fork", f"UNIX-CONNECT:{sockets['behind']}")
        )
        wait_for(relay)
        judged = ("--host", host, "--scope", "host")
        guarding = stack.enter_context(guard(sockets["inner"], front, *judged))
        clients = {
            "direct": Client(sockets["direct"]),
            "socat": Client(relay),
            "guard": Client(front),
        }
        source = Client(sockets["source"])
        # The relay's work is its fork's.
        pids = {"socat": children(relaying.pid)[0], "guard": guarding.made.pid}  # type: ignore[attr-defined]
        before_cpu = {way: cpu(pid) for way, pid in pids.items()}
        show("query-status, one at a time", round_trips(clients, options.count))
        spent = {way: (cpu(pid) - before_cpu[way]) / options.count for way, pid in pids.items()}
        print(
            f"CPU time a round trip: socat {spent['socat']:.0f} µs, guard {spent['guard']:.0f} µs,"
            f" {spent['guard'] / max(spent['socat'], 1):.2f} ×"
        )
        show(
            "an event, from the command that causes it", events(clients, source, options.count // 5)
        )
        print("pipelined, 50 in flight")
        rates = {way: throughput(client, options.count) for way, client in clients.items()}
        for way, rate in rates.items():
            print(f"  {way:<7} {rate:7.0f} commands/s   {rate / rates['direct']:.2f} × direct")
        both = plugs({"direct": clients["direct"], "guard": clients["guard"]}, 60)
        direct, judged_us = (quantiles(both[way])[0] for way in ("direct", "guard"))
        print(
            f"device_add of memory: {direct:.0f} µs unjudged, {judged_us:.0f} µs judged,"
            f" {judged_us / direct:.2f} ×"
        )
        starts = sorted(first_answer(sockets["fresh"], folder / "fresh.guard") for _ in range(5))
        print(f"first answer after a start: {starts[2]:.3f} s")
        pid = guarding.made.pid  # type: ignore[attr-defined]
        before = resident(pid)
        throughput(clients["guard"], options.many)
        after = resident(pid)
        print(
            f"memory of the guard: {before / MIB:.1f} MiB, after {options.many} commands"
            f" {after / MIB:.1f} MiB"
        )
        for client in (*clients.values(), source):
            client.sock.close()


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(each) for each in text.split()]


def resident(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
