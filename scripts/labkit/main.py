"""The command line of the lab."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from labkit import CACHE, ROOT, LabError
from labkit.capture import capture
from labkit.hosts import HOSTS, Host, hosts_named
from labkit.kernels import KERNELS, Kernel, get_kernel
from labkit.oracle import try_host

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 fine, 1 disagreements, 2 usage, 3 the lab cannot."""
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
        return 3
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/lab", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: object, about: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=about, description=about)
        made.set_defaults(run=run)
        made.add_argument("hosts", nargs="*", metavar="HOST", help="host kinds; all when none given")
        made.add_argument(
            "--kernel", action="append", choices=KERNELS, help="repeatable; all when not given"
        )
        return made

    command("list", _list, "list the host kinds and kernels")
    taken = command("capture", _capture, "boot and write what the kernel says below tests/captures")
    taken.add_argument("--into", type=Path, default=ROOT / "tests" / "captures")
    asked = command("oracle", _oracle, "hold usable ranges and verdicts against the kernel's")
    asked.add_argument("-n", type=int, default=2000, help="spans for each host kind (%(default)s)")
    asked.add_argument("--seed", type=int, default=1, help="of the draw (%(default)s)")
    return parser


def _list(options: argparse.Namespace) -> int:
    for host in hosts_named(tuple(options.hosts)):
        print(f"{host.name:12} {host.architecture:6} {', '.join(host.kernels):12} {host.about}")
    suites = ", ".join(f"{name} from Debian {suite}" for name, suite in KERNELS.items())
    print(f"kernels: {suites}; kept in {CACHE}")
    return 0


def _capture(options: argparse.Namespace) -> int:
    for host, kernel in _chosen(options):
        begun = time.monotonic()
        folder = capture(host, kernel, options.into)
        print(f"{folder.name:20} {kernel.release:24} {time.monotonic() - begun:5.1f} s", flush=True)
    return 0


def _oracle(options: argparse.Namespace) -> int:
    chosen = list(_chosen(options))
    print(f"{'host':12} {'kernel':24} {'asked':>6} {'mapped':>6} {'unassignable':>12}  disagreements")
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


def _chosen(options: argparse.Namespace) -> Iterator[tuple[Host, Kernel]]:
    for host in hosts_named(tuple(options.hosts)):
        for name in options.kernel or host.kernels:
            if name in host.kernels:
                yield host, get_kernel(name, host.architecture)
