"""``guestmap hotplug``: judge one hotplug against a running QEMU, and perform it."""

from __future__ import annotations

import json
from typing import Any

import click

from planner.argv.keyval import KeyvalError, is_json, parse_keyval
from planner.cli import options
from planner.cli.complete import plugged
from planner.cli.exits import Command, Exit
from planner.cli.output import print_json, say, show_findings
from planner.host.profile import Scope
from planner.units import UnitError, parse_size
from qmp_glue.addresses import MonitorAddress
from qmp_glue.asks import Asks
from qmp_glue.guard.policy import PolicyOptions
from qmp_glue.guard.verdicts import Refuse
from qmp_glue.hotplug import Hotplug, hotplug
from qmp_glue.live import at_monitor

__all__ = ["command"]

#: Keys of memory devices and backends whose values QMP wants as numbers.
_NUMBERS = frozenset({"addr", "memaddr", "align", "node", "slot"})
_MEMORY = ("pc-dimm", "nvdimm", "virtio-mem", "virtio-pmem", "memory-backend-")


@click.command("hotplug", cls=Command)
@click.argument("devices", metavar="DEVICE...", nargs=-1, required=True, shell_complete=plugged)
@options.qmp(required=True, reading=False)
@click.option(
    "--object",
    "objects",
    multiple=True,
    metavar="OBJECT",
    help="An object to add first, mostly the memory backend: type,id=...,size=... or JSON.",
)
@options.judging
@click.option("--dry-run", is_flag=True, help="Judge only; change nothing.")
@options.json
def command(
    *,
    devices: tuple[str, ...],
    qmp: MonitorAddress,
    objects: tuple[str, ...],
    hosts: tuple[str, ...],
    scope: Scope,
    steer: bool,
    elsewhere: bool,
    dry_run: bool,
    as_json: bool,
) -> Exit:
    """Judge a device_add against the live map and fresh host facts, then perform it.

    DEVICE is spelled as for QEMU: driver,key=value,... or JSON. What the guard cannot tell it
    refuses; a refusal names the nearest address that works. Of several devices those before the
    first refused one are added. With several --host, memory must suit all of them; a host device is
    looked up on the first.

    \b
    Example:
      guestmap hotplug --qmp unix:qmp.sock vfio-pci,host=0000:29:00.0,id=gpu,bus=rp1
      guestmap hotplug --qmp unix:qmp.sock --object memory-backend-ram,id=m1,size=4G \
          pc-dimm,id=d1,memdev=m1
    """
    wanted = [_spelled(each, "driver") for each in devices]
    made = [_spelled(each, "qom-type") for each in objects]
    policy = PolicyOptions(hosts=hosts or ("/sys",), scope=scope, steer=steer, elsewhere=elsewhere)

    results: list[Hotplug] = []

    async def job(asks: Asks) -> None:
        for arguments in wanted:
            backends = made if not results else []
            done = await hotplug(asks, policy, arguments, backends, perform=not dry_run)
            results.append(done)
            if isinstance(done.verdict, Refuse):
                return

    try:
        at_monitor(qmp, job)
    finally:
        _show(results, as_json=as_json)
    refused = any(isinstance(result.verdict, Refuse) for result in results)
    return Exit.FINDINGS if refused else Exit.OK


def _show(results: list[Hotplug], *, as_json: bool) -> None:
    if as_json:
        document = {"format": "guestmap/hotplug", "version": 1}
        print_json({**document, "hotplugs": [_document(result) for result in results]})
        return
    for result in results:
        show_findings(result.verdict.findings, {})
        say(_words(result))


def _spelled(text: str, implied: str) -> dict[str, Any]:
    """Read a device or object as QEMU's options spell it, values as QMP wants them."""
    try:
        if is_json(text):
            data = json.loads(text, object_pairs_hook=_once)
            if isinstance(data, dict):
                return data
            raise click.BadParameter(f"'{text}' is not a JSON object")
        values = parse_keyval(text, implied)
        memory = values.get(implied, "").startswith(_MEMORY)
        return {key: _value(key, value, memory=memory) for key, value in values.items()}
    except (KeyvalError, UnitError, ValueError) as error:
        raise click.BadParameter(f"'{text}': {error}") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        raise ValueError("a key stands twice")
    return data


def _value(key: str, text: str, *, memory: bool) -> Any:
    # addr of a PCI device is its slot and stays text.
    if memory and (key in _NUMBERS or key.endswith("size")):
        return parse_size(text)
    return {"on": True, "off": False}.get(text, text)


def _words(result: Hotplug) -> str:
    name = result.arguments.get("id") or result.arguments.get("driver")
    if isinstance(result.verdict, Refuse):
        return f"refused: {result.verdict.words}"
    state = "added" if result.done else "would be added"
    return f"{name} {state}" + (f", {result.verdict.words}" if result.verdict.words else "")


def _document(result: Hotplug) -> dict[str, Any]:
    return {
        "verdict": result.verdict.word,
        "done": result.done,
        "words": result.verdict.words,
        "arguments": {
            key: f"{value:#x}" if isinstance(value, int) and not isinstance(value, bool) else value
            for key, value in result.arguments.items()
        },
        "map": result.verdict.map_hash,
        "findings": [finding.to_json() for finding in result.verdict.findings],
    }
