"""Which options the tests really run, recorded where click runs a command or a program is started.

A pytest plugin. ``tests/house/exercised.txt`` names a witness for each option: a test that runs the
command with it. Whenever that test runs, alone or in whatever company, it fails if it did not.
``--regenerate-output`` gives an option without a witness one of the tests that ran.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import subprocess
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import pytest
from click.core import ParameterSource

from kit import ROOT
from planner.cli import COMMANDS

__all__ = ["broken_promise", "exercised", "given", "options", "started", "witnesses"]

FILE = ROOT / "tests" / "house" / "exercised.txt"
PREFIX = "planner.cli."

#: What the test that runs now has exercised: ``map --qmp``.
exercised: set[str] = set()


def command_of(name: str) -> click.Command:
    command: click.Command = import_module(PREFIX + name.replace("-", "_")).command
    return command


def labels(name: str, option: click.Option) -> list[str]:
    """Name what there is to try: --steer and --no-steer are two, -o and --output are one."""
    return [
        f"{name} {max(words, key=len)}" for words in (option.opts, option.secondary_opts) if words
    ]


def options() -> list[str]:
    """Return every option of every command."""
    return [
        label
        for name in COMMANDS
        for option in command_of(name).params
        if isinstance(option, click.Option)
        for label in labels(name, option)
    ]


def given(name: str, context: click.Context) -> Iterator[str]:
    """Yield the options that a command's line had."""
    for option in context.command.params:
        if isinstance(option, click.Option) and option.name:
            source = context.get_parameter_source(option.name)
            if source is ParameterSource.COMMANDLINE:
                off = bool(option.secondary_opts) and context.params[option.name] is False
                yield labels(name, option)[off]


def started(words: Sequence[str]) -> Iterator[str]:
    """Yield the options of the guestmap that a program's words start, directly or in a shell."""
    if len(words) > 2 and words[1] == "-c" and Path(words[0]).name in ("sh", "bash"):
        for part in re.split(r"[\n|;&]+", words[2].replace("\\\n", " ")):
            with contextlib.suppress(ValueError):  # quotes that a here-document leaves open
                yield from started(shlex.split(part))
        return
    for at, word in enumerate(words[:-1]):
        name = words[at + 1]
        if (word == "planner.cli" or Path(word).name == "guestmap") and name in COMMANDS:
            rest = list(words[at + 2 :])
            context = command_of(name).make_context(name, rest, resilient_parsing=True)
            yield from given(name, context)


def witnesses() -> dict[str, str]:
    """Return option → the test that runs it."""
    lines = FILE.read_text(encoding="utf-8").splitlines() if FILE.exists() else []
    return dict(line.split("  ", 1) for line in lines)


def broken_promise(rows: Mapping[str, str], test: str, seen: Iterable[str]) -> list[str]:
    """Return the options that *test* is the witness of and did not run."""
    return sorted({option for option, witness in rows.items() if witness == test} - set(seen))


# The plugin.

_ROWS = witnesses()
_SEEN: dict[str, set[tuple[bool, str]]] = {}
_SLOW = ("qemu", "lab", "browser", "long")


def test_of(item: pytest.Item) -> str:
    group = item.get_closest_marker("xdist_group")
    return item.nodeid.removesuffix(f"@{group.args[0]}") if group else item.nodeid


def pytest_configure() -> None:
    """Listen where commands run and programs start."""
    invoke, start = click.Command.invoke, subprocess.Popen.__init__

    def invoked(self: click.Command, ctx: click.Context) -> Any:
        result = invoke(self, ctx)  # what ends in a usage error has tried nothing
        module = getattr(self.callback, "__module__", "")
        if module.startswith(PREFIX):
            exercised.update(given(module.removeprefix(PREFIX).replace("_", "-"), ctx))
        return result

    def begun(self: Any, args: Any, *rest: Any, **named: Any) -> None:
        if not isinstance(args, str | bytes):
            exercised.update(started([str(word) for word in args]))
        start(self, args, *rest, **named)

    click.Command.invoke = invoked  # type: ignore[method-assign]  # what a test runs is seen here
    subprocess.Popen.__init__ = begun  # type: ignore[method-assign]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Hold a witness to its word."""
    exercised.clear()
    result = yield
    slow = any(item.get_closest_marker(name) for name in _SLOW)
    for option in exercised:
        _SEEN.setdefault(option, set()).add((slow, test_of(item)))
    broken = broken_promise(_ROWS, test_of(item), exercised)
    if broken and not item.config.getoption("--regenerate-output"):
        pytest.fail(f"tests/house/exercised.txt says this test runs {', '.join(broken)}")
    return result


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what an xdist worker saw."""
    for option, tests in getattr(node, "workeroutput", {}).get("exercised", {}).items():
        _SEEN.setdefault(option, set()).update((slow, test) for slow, test in tests)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Give options without a witness one, when asked to; prefer a test that starts nothing."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["exercised"] = {option: sorted(tests) for option, tests in _SEEN.items()}
    elif session.config.getoption("--regenerate-output"):
        ran = {test for tests in _SEEN.values() for _, test in tests}
        rows = {}
        for option in options():
            seen = _SEEN.get(option, set())
            witness = _ROWS.get(option)
            if witness is None or (witness in ran and witness not in {test for _, test in seen}):
                witness = min(seen)[1] if seen else None
            if witness is not None:
                rows[option] = witness
        FILE.write_text("".join(f"{o}  {t}\n" for o, t in rows.items()), encoding="utf-8")
