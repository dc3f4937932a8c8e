"""The command line of the lab."""

from __future__ import annotations

import argparse
import sys
import termios
import time
from collections import Counter
from collections.abc import Iterator
from math import inf
from pathlib import Path
from random import Random

from labkit import CACHE, ROOT, LabError, MissingError
from labkit.boot import boot
from labkit.capture import capture
from labkit.hosts import HOSTS, Host, hosts_named
from labkit.hotplug import facts_of, play
from labkit.inner import bench, can_grow
from labkit.kernels import KERNELS, Kernel, get_kernel
from labkit.oracle import try_host
from labkit.rescue import rescue
from labkit.scenes import DEVICES, draw_scene
from labkit.tables import tables_for
from labkit.tarball import SUFFIX

__all__ = ["main"]

_RESCUE_SECONDS = 180
#: Hosts that scenes are played on when none is named.
PLAYED = ["amd", "intel-39", "intel-rmrr"]


def main(arguments: list[str] | None = None) -> int:
    """Run one command: 0 fine, 1 disagreements, 2 usage, 3 a boot failed, 4 something missing."""
    options = _parser().parse_args(arguments)
    unknown = [name for name in options.hosts if name not in HOSTS]
    if unknown:
        print(f"lab: no host kind {', '.join(unknown)}; see scripts/lab list", file=sys.stderr)
        return 2
    CACHE.mkdir(parents=True, exist_ok=True)
    try:
        return int(options.run(options))
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 4 if isinstance(error, MissingError) else 3
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/lab", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: object, about: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=about, description=about)
        made.set_defaults(run=run)
        made.add_argument(
            "hosts", nargs="*", metavar="HOST", help="host kinds; all when none given"
        )
        made.add_argument(
            "--kernel", action="append", choices=KERNELS, help="repeatable; all when not given"
        )
        return made

    command("list", _list, "list the host kinds and kernels")
    command("boot", _boot, "boot one host with one kernel, its console on this terminal")
    taken = command("capture", _capture, "boot and write what the kernel says as an archive")
    taken.add_argument("--into", type=Path, default=ROOT / "tests" / "captures")
    asked = command("oracle", _oracle, "hold usable ranges and verdicts against the kernel's")
    asked.add_argument("-n", type=int, default=2000, help="spans for each host kind (%(default)s)")
    asked.add_argument("--seed", type=int, default=1, help="of the draw (%(default)s)")
    played = command("hotplug", _hotplug, "play scenes on a bare QEMU and through the guard")
    played.add_argument("-n", type=int, default=10, help="scenes over all hosts (%(default)s)")
    played.add_argument("--seed", type=int, default=1, help="of the draw (%(default)s)")
    played.add_argument(
        "--rescue", action="store_true", help="show the scene that kills, told whole"
    )
    return parser


def _list(options: argparse.Namespace) -> int:
    for host in hosts_named(tuple(options.hosts)):
        print(f"{host.name:12} {host.architecture:6} {', '.join(host.kernels):12} {host.about}")
    suites = ", ".join(f"{name} from Debian {suite}" for name, suite in KERNELS.items())
    print(f"kernels: {suites}; kept in {CACHE}")
    return 0


def _boot(options: argparse.Namespace) -> int:
    chosen = list(_chosen(options, iommufd=True))
    if len(chosen) != 1:
        print("lab: name one host and one --kernel to boot", file=sys.stderr)
        return 2
    ((host, kernel),) = chosen
    tables = tables_for(host, kernel)
    terminal = termios.tcgetattr(sys.stdin) if sys.stdin.isatty() else None
    try:
        with boot(host, kernel, {"do": "shell"}, seconds=inf, tables=tables, by_hand=True) as guest:
            guest.wait()
    finally:
        if terminal is not None:  # QEMU, when it is killed, leaves it raw
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, terminal)
    return 0


def _capture(options: argparse.Namespace) -> int:
    for host, kernel in _chosen(options):
        begun = time.monotonic()
        name = capture(host, kernel, options.into).name.removesuffix(SUFFIX)
        print(f"{name:20} {kernel.release:24} {time.monotonic() - begun:5.1f} s", flush=True)
    return 0


def _oracle(options: argparse.Namespace) -> int:
    chosen = list(_chosen(options, iommufd=True))
    print(
        f"{'host':12} {'kernel':24} {'asked':>6} {'mapped':>6} {'unassignable':>12}  disagreements"
    )
    results = []
    for host, kernel in chosen:
        mine = [other.name for whose, other in chosen if whose is host]
        count = options.n // len(mine) + (mine.index(kernel.name) < options.n % len(mine))
        result = try_host(host, kernel, count, options.seed)
        results.append(result)
        row = f"{result.host:12} {result.release:24} {result.attempts:6} {result.mapped:6}"
        print(f"{row} {result.refused:12}  {len(result.disagreements)}", flush=True)
        if result.stuck:
            print(f"  mapped but not unmapped again: {len(result.stuck)}, one is {result.stuck[0]}")
        for line in result.disagreements[:10]:
            print(f"  {line}")
    wrong = sum(len(result.disagreements) for result in results)
    asked = sum(result.attempts for result in results)
    print(f"{asked} spans on {len(results)} hosts, {wrong} disagreements")
    return 1 if wrong else 0


def _hotplug(options: argparse.Namespace) -> int:
    options.hosts = options.hosts or (PLAYED[:1] if options.rescue else PLAYED)
    chosen = [(host, kernel) for host, kernel in _chosen(options) if host.architecture == "amd64"]
    if options.rescue:
        return _rescue(chosen[0])
    random = Random(options.seed)
    if not can_grow():
        print("no gcc here: no scene has a guest that drives virtio-mem", file=sys.stderr)
    print(
        f"{'host':12} {'kernel':24} {'scenes':>6} {'works':>5} {'error':>5} {'died':>5}"
        f" {'died guarded':>12}  disagreements"
    )
    wrong = lost = 0
    for number, (host, kernel) in enumerate(chosen):
        count = options.n // len(chosen) + (number < options.n % len(chosen))
        scenes = [draw_scene(random, host.name, growing=can_grow()) for _ in range(count)]
        with (
            bench(host, kernel, DEVICES, seconds=120 + 60 * count) as made,
            facts_of(made) as facts,
        ):
            outcomes = [play(made, facts, scene) for scene in scenes]
        bare = Counter(outcome.bare for outcome in outcomes)
        dead = [outcome for outcome in outcomes if not outcome.guarded]
        told = [line for outcome in outcomes for line in outcome.disagreements]
        row = f"{host.name:12} {kernel.release:24} {count:6} {bare['works']:5} {bare['error']:5}"
        print(f"{row} {bare['died']:5} {len(dead):12}  {len(told)}", flush=True)
        for line in told[:10]:
            print(f"  {line}")
        for outcome in dead:
            print(f"  died behind the guard: {outcome.scene}")
        wrong += len(told)
        lost += len(dead)
    print(f"{options.n} scenes, {wrong} disagreements, {lost} died behind the guard")
    return 1 if wrong or lost else 0


def _rescue(chosen: tuple[Host, Kernel]) -> int:
    line = ""
    with bench(*chosen, DEVICES, seconds=_RESCUE_SECONDS) as made, facts_of(made) as facts:
        for line in rescue(made, facts):
            print(line, flush=True)
    return 0 if line == "# the VM lives" else 1


def _chosen(options: argparse.Namespace, *, iommufd: bool = False) -> Iterator[tuple[Host, Kernel]]:
    for host in hosts_named(tuple(options.hosts)):
        for name in options.kernel or host.kernels:
            if name in host.kernels and (iommufd or not name.endswith("-iommufd")):
                yield host, get_kernel(name, host.architecture)
