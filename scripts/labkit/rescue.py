"""The rescue, told: the scene that kills a bare QEMU, then the same through the guard."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

from labkit.guarded import guard, guard_command
from labkit.hotplug import await_end
from labkit.inner import Bench
from labkit.qmp import Client, GoneError
from labkit.scenes import RESCUE, Step

__all__ = ["rescue"]

#: After the refusal: the same memory, the address left to QEMU, which guestmap may steer.
_AFTER = Step("device_add", {"driver": "pc-dimm", "id": "dimm1", "memdev": "m1"})


def rescue(bench: Bench, facts: Path) -> Iterator[str]:
    """Play the rescue; yield the transcript line by line, and at the end whether the VM lives.

    :raise LabError: the inner QEMU or the guard does not start.
    """
    yield f"# inside: {bench.guest.title}"
    yield f"$ qemu-system-x86_64 {' '.join(RESCUE.argv)} -qmp unix:vm.qmp,server=on,wait=off"
    bench.start(list(RESCUE.argv))
    with Client(bench.socket) as client:
        try:
            for step in RESCUE.steps:
                yield from _told(client, step)
            yield "# QEMU lives, which it should not"
        except GoneError:
            status, words = await_end(bench)
            yield from (line for line in words.splitlines() if "vfio" in line.lower())
            yield f"# QEMU is gone: {signal.Signals(-status).name if status < 0 else status}"
    bench.start(list(RESCUE.argv))
    yield ""
    yield "# the same again, with guestmap before the monitor"
    yield f"$ {' '.join(guard_command(Path('vm.qmp'), Path('guarded.qmp'), None))}"
    with guard(bench, facts) as path, Client(path) as client:
        for step in (*RESCUE.steps, _AFTER):
            yield from _told(client, step)
        yield from _told(client, Step("query-memory-devices", {}))
        yield from _told(client, Step("query-status", {}))
        yield "# the VM lives" if bench.died() is None else "# the VM is gone"


def _told(client: Client, step: Step) -> Iterator[str]:
    asked = {"execute": step.command} | ({"arguments": step.arguments} if step.arguments else {})
    yield f"-> {json.dumps(asked)}"
    value, error = client.execute(step.command, step.arguments or None)
    yield f"<- error: {error}" if error else f"<- {json.dumps({'return': value})}"
