"""The judge: what each command would do to the map, and whether that may be.

The tables decide (:mod:`qmp_glue.guard.table`): what is harmless there passes, what is refused or
stands nowhere is refused, the rest goes to the rule its row names. What cannot be told is refused,
or with ``fail_open`` passed and said so. Facts are read anew for each judgement, over the same
connection the command goes over. The rules are in :mod:`~qmp_glue.guard.devices`,
:mod:`~qmp_glue.guard.memory`, :mod:`~qmp_glue.guard.growth` and :mod:`~qmp_glue.guard.process`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Final

from planner.findings import Finding
from qmp_glue.asks import Asks
from qmp_glue.errors import GlueError
from qmp_glue.guard.case import Case, PolicyOptions
from qmp_glue.guard.devices import add_device, add_netdev, add_object
from qmp_glue.guard.growth import load_state, set_property
from qmp_glue.guard.hmp import NotUnderstoodError, first_word, understand
from qmp_glue.guard.process import add_chardev, hand_over, listen_somewhere, migrate
from qmp_glue.guard.table import commands, human
from qmp_glue.guard.table.rows import Class, Judge, Row, Table
from qmp_glue.guard.values import Json
from qmp_glue.guard.verdicts import (
    CannotJudgeError,
    NotAllowedError,
    Pass,
    Peer,
    Refuse,
    Rewrite,
    Verdict,
)

__all__ = ["Policy", "PolicyOptions"]

_HUMAN: Final = "human-monitor-command"


async def _make_board(case: Case, arguments: dict[str, Json]) -> Verdict:
    """Pass what goes on with a start: the board is what the command line says."""
    del case, arguments
    return Pass("makes the board of the command line")


#: How what is judged is judged.
_RULES: Final[Mapping[Judge, Callable[[Case, dict[str, Json]], Awaitable[Verdict]]]] = {
    Judge.DEVICE: add_device,
    Judge.NETDEV: add_netdev,
    Judge.OBJECT: add_object,
    Judge.CHARDEV: add_chardev,
    Judge.PROPERTY: set_property,
    Judge.STATE: load_state,
    Judge.LISTEN: listen_somewhere,
    Judge.CLIENT: hand_over,
    Judge.MIGRATE: migrate,
    Judge.BOARD: _make_board,
}


@cache
def _harmless(table: Table) -> frozenset[str]:
    """Return the names that are harmless in every version: most commands, at one look."""
    rows = [*table]
    other = {row.name for row in rows if row.kind is not Class.HARMLESS}
    return frozenset(row.name for row in rows) - other


class Policy:
    """Judges single commands; holds nothing between them."""

    def __init__(self, options: PolicyOptions) -> None:
        self.options = options

    def concerns(self, command: Mapping[str, Json]) -> bool:
        """Say whether the command is not known to be harmless."""
        name = command.get("execute")
        if not isinstance(name, str):
            return False
        if name == _HUMAN:
            arguments = command.get("arguments")
            line = arguments.get("command-line") if isinstance(arguments, dict) else None
            word = first_word(line) if isinstance(line, str) else None
            return word != "" and word not in _harmless(human.TABLE)
        return name not in _harmless(commands.TABLE)

    async def judge(
        self, command: dict[str, Json], asks: Asks, peer: Peer | None = None
    ) -> Verdict:
        """Judge a command.

        :param asks: the QEMU it is for.
        """
        case = Case(self.options, asks, peer or Peer())
        arguments = command.get("arguments", {})
        name = str(command["execute"])
        try:
            if not isinstance(arguments, dict):
                raise CannotJudgeError(f"the arguments of '{name}' are no object")
            if name == _HUMAN:
                verdict = await _human(case, arguments)
            else:
                verdict = await _by_table(case, commands.TABLE, name, arguments)
        except NotAllowedError as exc:
            verdict = Refuse.of([Finding("MM703", f"not through the guard: {exc}")])
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


async def _by_table(
    case: Case, table: Table, name: str, arguments: dict[str, Json], what: str = "command"
) -> Verdict:
    """Judge what a table says of a name; a :class:`Rewrite` holds the changed arguments alone."""
    row = table.find(name, case.version)
    if row is None and table is commands.TABLE and await _unknown(case, name):
        # A client that tries what this QEMU may have gets the answer it knows.
        return Refuse(f"The command {name} has not been found", kind="CommandNotFound")
    row = case.allowed(row, f"{what} '{name}'")
    if row.kind is Class.HARMLESS:
        return Pass(row.why)
    return await _RULES[_judge_of(row)](case, arguments)


def _judge_of(row: Row) -> Judge:
    if row.judge is None or row.judge not in _RULES:
        raise CannotJudgeError(f"'{row.name}' is {row.why}")
    return row.judge


async def _unknown(case: Case, name: str) -> bool:
    known = await case.asks.execute("query-commands")
    return not any(entry.get("name") == name for entry in known)


async def _human(case: Case, arguments: dict[str, Json]) -> Verdict:
    """Judge a human monitor line by the row of its first word."""
    line = arguments.get("command-line")
    if not isinstance(line, str):
        raise CannotJudgeError(f"the arguments of '{_HUMAN}' are not understood")
    word = first_word(line)
    row = case.allowed(human.TABLE.find(word, case.version), f"human monitor command '{word}'")
    if row.kind is Class.HARMLESS:
        return Pass(row.why)
    if row.judge is None:
        raise NotUnderstoodError(line)
    told = understand(line, row.judge)
    verdict = await _RULES[_judge_of(row)](case, told.arguments)
    if isinstance(verdict, Rewrite):
        return replace(
            verdict, command={**arguments, "command-line": told.changed(verdict.command)}
        )
    return verdict
