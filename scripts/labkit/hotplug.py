"""Scenes on a real kernel: guestmap's verdict on each command, and what a bare QEMU does."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from labkit import LabError
from labkit.capture import write_tree
from labkit.guarded import guard
from labkit.inner import Bench
from labkit.qmp import Client, GoneError
from labkit.scenes import Scene, Step
from qmp_glue.addresses import MonitorAddress
from qmp_glue.guard.policy import Policy, PolicyOptions
from qmp_glue.guard.verdicts import Refuse, Verdict
from qmp_glue.session import Session

__all__ = ["Outcome", "await_end", "facts_of", "play"]

#: How long QEMU may take to be found dead after its monitor closed.
_END_SECONDS = 10.0
_PLUG_SECONDS = 60.0
_REPLAY = "Replaying plugged ranges failed"


@dataclass(slots=True)
class Outcome:
    """What a scene came to."""

    scene: Scene
    #: How the bare QEMU took the first command that failed: ``error``, ``died``, or ``works``.
    bare: str = "works"
    #: Last words of a bare QEMU that failed.
    words: str = ""
    #: Whether the VM was alive after the scene had gone through the guard.
    guarded: bool = False
    #: Commands the guard refused, and those it steered or passed and QEMU took.
    refused: int = 0
    taken: int = 0
    disagreements: list[str] = field(default_factory=list)


@contextmanager
def facts_of(bench: Bench) -> Iterator[Path]:
    """Lay the guest's own sysfs out as a tree for guestmap to read."""
    with tempfile.TemporaryDirectory(prefix="guestmap-lab-") as name:
        write_tree(Path(name), bench.facts)
        yield Path(name)


def play(bench: Bench, facts: Path, scene: Scene) -> Outcome:
    """Play a scene twice: bare, each command judged first; then through the guard.

    :raise LabError: the inner QEMU cannot be started.
    """
    outcome = Outcome(scene)
    bench.start(list(scene.argv))
    # The judge stands outside the machine that this QEMU runs in.
    options = PolicyOptions(hosts=(str(facts),), steer=False, elsewhere=True, sysfs=facts / "sys")
    policy = Policy(options)
    with Client(bench.socket) as client:
        for step in scene.steps:
            verdict = _judge(policy, bench, step)
            outcome.bare, outcome.words = _do(client, bench, step)
            _compare(outcome, step, verdict)
            if outcome.bare != "works":
                break
    bench.start(list(scene.argv))
    with guard(bench, facts) as path:
        _through(outcome, path)
    bench.stop()
    return outcome


def _judge(policy: Policy, bench: Bench, step: Step) -> Verdict:
    async def judge() -> Verdict:
        async with await Session.open(MonitorAddress(path=str(bench.socket))) as session:
            command = {"execute": step.command, "arguments": step.arguments}
            return await policy.judge(command, session)

    return asyncio.run(judge())


def _do(client: Client, bench: Bench, step: Step) -> tuple[str, str]:
    try:
        _, error = client.execute(step.command, step.arguments)
    except GoneError:
        return "died", await_end(bench)[1]
    if not error and step.command == "qom-set":
        error = _refused_by_plug(client, bench, step.arguments["value"])
    if not error and step.arguments.get("driver") == "vfio-pci":
        # QEMU 7.2 adds the device all the same; its DMA to that memory would fail.
        error = next((line for line in bench.tell()[0].splitlines() if _REPLAY in line), "")
    return ("error", error) if error else ("works", "")


def _refused_by_plug(client: Client, bench: Bench, requested: int) -> str:
    """Wait until the guest has plugged what is requested; return why it could not."""
    limit = time.monotonic() + _PLUG_SECONDS
    while time.monotonic() < limit:
        console = bench.tell()[1]
        if "refused" in console:
            return f"the guest's plug was {console.splitlines()[-1]}"
        devices, _ = client.execute("query-memory-devices")
        if devices[0]["data"]["size"] == requested:
            return ""
        time.sleep(0.2)
    raise LabError(f"{bench.guest.title}: the virtio-mem guest does nothing: {console!r}")


def await_end(bench: Bench) -> tuple[int, str]:
    """Return status and last words of a QEMU whose monitor closed."""
    limit = time.monotonic() + _END_SECONDS
    while (ended := bench.died()) is None and time.monotonic() < limit:
        time.sleep(0.05)
    return ended or (0, "its monitor closed")


def _compare(outcome: Outcome, step: Step, verdict: Verdict) -> None:
    refused = isinstance(verdict, Refuse)
    if isinstance(verdict, Refuse) and verdict.unjudged:
        outcome.disagreements.append(f"{step}: not judged: {verdict.words}")
    elif refused != (outcome.bare != "works"):
        said = verdict.words if isinstance(verdict, Refuse) else "passed"
        happened = f"{outcome.bare} {outcome.words.splitlines()[:1]}"
        outcome.disagreements.append(f"{step}: guestmap {said}; QEMU {happened}")


def _through(outcome: Outcome, path: Path) -> None:
    """Send every command through the guard, going on after refusals as a person would."""
    try:
        with Client(path) as client:
            for step in outcome.scene.steps:
                _, error = client.execute(step.command, step.arguments)
                outcome.refused += "guestmap MM" in error
                outcome.taken += not error
            status, _ = client.execute("query-status")
            outcome.guarded = bool(status)
    except GoneError:
        outcome.guarded = False
