"""The judge: what each command would do to the map, and whether that may be.

What cannot be told is refused, or with ``fail_open`` passed and said so. Facts are read anew for
each judgement, over the same connection the command goes over. What is judged how is in
:mod:`~qmp_glue.guard.devices`, :mod:`~qmp_glue.guard.memory` and :mod:`~qmp_glue.guard.growth`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final

from planner.findings import Finding
from qmp_glue.asks import Asks
from qmp_glue.errors import GlueError
from qmp_glue.guard.case import Case, PolicyOptions
from qmp_glue.guard.commands import HARMLESS, HARMLESS_FAMILIES, STATE_LOADS
from qmp_glue.guard.devices import add_device, add_netdev
from qmp_glue.guard.growth import load_state, set_property
from qmp_glue.guard.hmp import NotUnderstoodError, harmless, understand
from qmp_glue.guard.values import Json
from qmp_glue.guard.verdicts import (
    QEMU_REFUSES,
    CannotJudgeError,
    Pass,
    Peer,
    Refuse,
    Rewrite,
    Verdict,
)

__all__ = ["Policy", "PolicyOptions"]

_HUMAN: Final = "human-monitor-command"


async def _nothing_new(case: Case, arguments: dict[str, Json]) -> Verdict:
    """Pass what only prepares, or gives back: no memory and no device is added by it."""
    del case, arguments
    return Pass("adds neither memory nor an assigned device")


#: How each command that is not harmless is judged.
_RULES: Final[Mapping[str, Callable[[Case, dict[str, Json]], Awaitable[Verdict]]]] = {
    "device_add": add_device,
    "device_del": _nothing_new,
    "netdev_add": add_netdev,
    "object-add": _nothing_new,
    "qom-set": set_property,
    "set-numa-node": _nothing_new,
    "x-exit-preconfig": _nothing_new,
    **dict.fromkeys(STATE_LOADS, load_state),
}


class Policy:
    """Judges single commands; holds nothing between them."""

    def __init__(self, options: PolicyOptions) -> None:
        self.options = options

    def concerns(self, command: Mapping[str, Json]) -> bool:
        """Say whether the command is not known to be harmless."""
        name = command.get("execute")
        if not isinstance(name, str):
            return False
        if name in HARMLESS or name.startswith(HARMLESS_FAMILIES):
            return False
        if name == _HUMAN:
            arguments = command.get("arguments")
            line = arguments.get("command-line") if isinstance(arguments, dict) else None
            return isinstance(line, str) and not harmless(line)
        return True

    async def judge(
        self, command: dict[str, Json], asks: Asks, peer: Peer | None = None
    ) -> Verdict:
        """Judge a command.

        :param asks: the QEMU it is for.
        """
        arguments = command.get("arguments", {})
        if not isinstance(arguments, dict):
            return QEMU_REFUSES
        case = Case(self.options, asks, peer or Peer())
        try:
            if command["execute"] == _HUMAN:
                verdict = await _human(case, arguments)
            else:
                verdict = await _by_rule(case, str(command["execute"]), arguments)
        except (CannotJudgeError, GlueError) as exc:
            verdict = self._unjudged(str(exc))
        if isinstance(verdict, Rewrite):
            changed = {**command, "arguments": verdict.command}
            return replace(verdict, command=changed, map_hash=case.map_hash)
        return replace(verdict, map_hash=case.map_hash)

    def _unjudged(self, reason: str) -> Verdict:
        if self.options.fail_open:
            return Pass(f"passed without judgement: {reason}")
        finding = Finding(
            "MM701",
            f"cannot judge: {reason}",
            help="see that the guard can read the facts, or start it with --fail-open",
        )
        return replace(Refuse.of([finding]), unjudged=True)


async def _by_rule(case: Case, name: str, arguments: dict[str, Json]) -> Verdict:
    """Judge a command by its rule; a :class:`Rewrite` holds the changed arguments alone."""
    if name in _RULES:
        return await _RULES[name](case, arguments)
    known = await case.asks.execute("query-commands")
    if not any(entry.get("name") == name for entry in known):
        return Pass("QEMU does not know it")
    raise CannotJudgeError(f"command '{name}' is not known to leave the map alone")


async def _human(case: Case, arguments: dict[str, Json]) -> Verdict:
    """Judge a human monitor line by the rule of the QMP command it means."""
    line = arguments.get("command-line")
    if not isinstance(line, str):
        return QEMU_REFUSES
    human = understand(line)
    if human.name == _HUMAN:
        raise NotUnderstoodError(line)
    verdict = await _by_rule(case, human.name, human.arguments)
    if isinstance(verdict, Rewrite):
        told = {**arguments, "command-line": human.changed(verdict.command)}
        return replace(verdict, command=told)
    return verdict
