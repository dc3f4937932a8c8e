"""How commands end: the table of exceptions, output that cannot be written, nobody who reads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import click
import pytest
from kit import ROOT, cli_runner

import planner
import qmp_glue
from planner.cli import COMMANDS, group
from planner.cli.exits import WAYS, Command, Exit

LAYOUT = str(ROOT / "layouts" / "arm-guest-on-amd.yaml")
HOST = str(ROOT / "layouts" / "hosts" / "hp-gen9.yaml")
#: What is caught where it is raised, or becomes a finding or a refusal; at the end it is a bug.
CAUGHT = {
    "planner.cli.program.OutputLostError",
    "planner.cli.program.ReaderGoneError",
    "planner.place.repair.RepairError",
    "planner.span.SpanError",
    "qmp_glue.guard.verdicts.CannotJudgeError",
    "qmp_glue.guard.verdicts.NotAllowedError",
    # A bug where a judge asks: the middlebox refuses and logs it, elsewhere it is exit 70.
    "qmp_glue.guard.table.questions.NotAQuestionError",
    "qmp_glue.guard.jsontext.BadTextError",
    "qmp_glue.guard.negotiation.NotACommandError",
    "qmp_glue.guard.negotiation.NotFoundError",
    "qmp_glue.guard.wire.OversizeError",
    "qmp_glue.guard.wire._NotPlainError",
}


def exceptions() -> set[type[Exception]]:
    """Return every exception that planner and qmp_glue define, click's own kinds aside."""
    found = set()
    for package in (planner, qmp_glue):
        for info in walk_packages(package.__path__, f"{package.__name__}."):
            if not info.name.endswith("__main__"):
                for value in vars(import_module(info.name)).values():
                    if isinstance(value, type) and issubclass(value, Exception):
                        found.add(value)
    own = ("planner.", "qmp_glue.")
    return {
        kind
        for kind in found
        if kind.__module__.startswith(own) and not issubclass(kind, click.ClickException)
    }


def name_of(kind: type[Exception]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def test_every_exception_has_a_way_out() -> None:
    kinds = exceptions()
    unknown = [
        name_of(kind)
        for kind in kinds
        if not {name_of(base) for base in kind.__mro__} & {*WAYS, *CAUGHT}
    ]
    assert unknown == []
    assert {*WAYS, *CAUGHT} - {name_of(kind) for kind in kinds} == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_ends_by_the_table(name: str) -> None:
    assert isinstance(import_module(f"planner.cli.{name}").command, Command)


@pytest.mark.parametrize(
    "words",
    [
        ["map", "--", "no-such-qemu"],
        ["check", "--host", HOST, "--", "no-such-qemu"],
        ["show", "--", "no-such-qemu"],
    ],
)
def test_a_qemu_that_fails_is_told_in_one_way(words: list[str]) -> None:
    result = cli_runner().invoke(group, words)
    assert result.exit_code == Exit.UNREACHABLE
    assert result.stderr == (
        "Error: no-such-qemu: no such program, or it may not be executed\n"
        "  = help: name a QEMU program by its path, or one that is found in PATH\n"
    )


@pytest.mark.parametrize(
    "words",
    [
        ["map", "--qmp"],
        ["show", "--qmp"],
        ["new", "--qmp"],
        ["hotplug", "pc-dimm", "--qmp"],
    ],
)
def test_a_monitor_that_is_not_there_is_told_in_one_way(words: list[str], tmp_path: Path) -> None:
    result = cli_runner().invoke(group, [*words, f"unix:{tmp_path}/none"])
    assert result.exit_code == Exit.UNREACHABLE
    assert result.stderr == (
        f"Error: cannot reach QEMU at unix:{tmp_path}/none: No such file or directory\n"
        "  = help: is QEMU running with -qmp unix:PATH,server=on,wait=off and that PATH,"
        " and may this user open it?\n"
    )


def shell(line: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a line of bash; ``G`` is guestmap, and the exit code is that of its first command."""
    script = f'G() {{ "{sys.executable}" -m planner.cli "$@"; }}\n{line}\nexit ${{PIPESTATUS[0]}}'
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        ["bash", "-c", script],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


PRINTING = [
    "--help",
    f"plan {LAYOUT}",
    f"plan {LAYOUT} --json",
    f"host {HOST} -o -",
    f"show {LAYOUT} -.svg",
    "completion fish",
]


@pytest.mark.parametrize("words", PRINTING)
def test_output_that_cannot_be_written(words: str, tmp_path: Path) -> None:
    full = shell(f"G {words} > /dev/full", tmp_path)
    assert (full.returncode, full.stderr) == (
        2,
        "Error: standard output cannot be written: No space left on device\n",
    )
    closed = shell(f"G {words} >&-", tmp_path)
    assert (closed.returncode, closed.stderr) == (
        2,
        "Error: standard output cannot be written: Bad file descriptor\n",
    )


@pytest.mark.parametrize("words", PRINTING)
def test_nobody_reads(words: str, tmp_path: Path) -> None:
    """The reader has gone before anything is written."""
    gone = shell(f"{{ sleep 0.3; G {words}; }} | true", tmp_path)
    assert (gone.returncode, gone.stderr) == (0, "")


def test_a_reader_that_has_enough(tmp_path: Path) -> None:
    head = shell("G schema | head -1", tmp_path)
    assert (head.returncode, head.stdout, head.stderr) == (0, "{\n", "")


def test_a_closed_stream_takes_no_file(tmp_path: Path) -> None:
    """A file that is opened next would get the number of a stream that is closed."""
    done = shell(f"G plan {LAYOUT} -o p.json >&- 2>&- <&-", tmp_path)
    assert done.returncode == 2
    assert json.loads((tmp_path / "p.json").read_text())["format"] == "guestmap/plan"
    assert shell("G plan - <&-", tmp_path).stdout.startswith("<stdin>:1:1: error[MM109]")
    assert shell("G plan missing 2>&-", tmp_path).returncode == 2
    assert shell("G plan missing 2>/dev/full", tmp_path).returncode == 2


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (f"plan {LAYOUT} -o", "/nonexistent/x cannot be written: No such file or directory"),
        (f"host {HOST} -o", "/nonexistent/x cannot be written: No such file or directory"),
        ("new -o", "/nonexistent/x cannot be written: No such file or directory"),
        (
            "guard --qmp unix:none --listen unix:l --metrics",
            "/nonexistent/x cannot be written: No such file or directory",
        ),
        (
            "guard --qmp unix:none --listen unix:l --log",
            "/nonexistent/x cannot be written: No such file or directory",
        ),
    ],
)
def test_a_file_that_cannot_be_written(words: str, why: str, tmp_path: Path) -> None:
    done = shell(f"G {words} /nonexistent/x", tmp_path)
    assert (done.returncode, done.stderr) == (2, f"Error: {why}\n")


@pytest.mark.parametrize("words", [f"plan {LAYOUT} -o", f"host {HOST} -o"])
def test_the_good_file_outlives_a_full_disk(words: str, tmp_path: Path) -> None:
    (tmp_path / "old").write_text("good\n")
    done = shell(f"ulimit -f 1; G {words} old", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "Error: old cannot be written: File too large\n"
    assert (tmp_path / "old").read_text() == "good\n"
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_a_device_is_no_file(tmp_path: Path) -> None:
    done = shell(f"G plan {LAYOUT} -o /dev/null", tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        "Error: /dev/null is a device\n  = help: name a regular file; - is standard output\n"
    )


def test_a_bug_is_70(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from planner.cli import program, schema  # noqa: PLC0415  # only here

    def broken(_document: object) -> None:
        raise BrokenPipeError("of a socket\x1b[31m")

    monkeypatch.setattr(schema, "print_json", broken)
    monkeypatch.setattr("sys.argv", ["guestmap", "schema"])
    monkeypatch.delenv("GUESTMAP_DEBUG", raising=False)
    assert program.run(group) == Exit.BUG
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "guestmap: internal error: BrokenPipeError: of a socket\\x1b[31m",
        "this is a bug; run again with GUESTMAP_DEBUG=1 for the traceback",
    ]
