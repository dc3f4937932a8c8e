"""Every ``console`` block of the documents is run, and prints what is shown.

The blocks of a page are one session: a folder of their own with the shipped layouts in it. A line
that is just ``…`` stands for any lines.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit import ROOT, any_patch

pytestmark = pytest.mark.qemu

PAGES = sorted(
    path
    for path in (ROOT / "docs").rglob("*.md")
    if "_build" not in path.parts and "```console" in path.read_text(encoding="utf-8")
)
BLOCK = re.compile(r"(?<=^```console\n)(.*?)(?=^```$)", re.MULTILINE | re.DOTALL)
ANY = "…"


def steps(block: str) -> Iterator[tuple[str, str]]:
    """Yield each command with what is shown below it."""
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)
    assert not parts[0], f"a console block begins with a command, not with {parts[0]!r}"
    for part in parts[1:]:
        lines = part.splitlines(keepends=True)
        # A command goes on as long as its line ends in a backslash, or in a here-document.
        end = 1
        while lines[end - 1].endswith("\\\n"):
            end += 1
        here = re.search(r"<<\s*'?(\w+)'?", lines[0])
        if here:
            end = lines.index(f"{here[1]}\n") + 1
        yield "".join(lines[:end]), "".join(lines[end:])


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Path]:
    shutil.copytree(ROOT / "layouts", tmp_path / "layouts")
    yield tmp_path
    # What was started is ended by the page itself; and by us where it was not.
    for left in tmp_path.rglob("*.pid"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, ValueError):
            os.kill(int(left.read_text()), signal.SIGTERM)


def printed(command: str, folder: Path) -> str:
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    result = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={**env, "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )
    return "".join(f"{line.rstrip()}\n" for line in result.stdout.splitlines())


def matches(shown: str, real: str) -> bool:
    shown, real = any_patch(shown), any_patch(real)
    lines = [".*" if line == ANY else re.escape(line) for line in shown.splitlines()]
    pattern = "".join("(?:.*\n)*" if line == ".*" else f"{line}\n" for line in lines)
    return re.fullmatch(pattern, real) is not None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT / "docs")))
def test_page_shows_what_happens(page: Path, session: Path, request: pytest.FixtureRequest) -> None:
    text = page.read_text(encoding="utf-8")

    def run(match: re.Match[str]) -> str:
        done = ""
        for command, shown in steps(match[1]):
            real = printed(command, session)
            done += f"$ {command}" + (shown if matches(shown, real) else real)
        return done

    now = BLOCK.sub(run, text)
    if request.config.getoption("--regenerate-output"):
        page.write_text(now, encoding="utf-8")
        return
    assert now == text


def test_there_are_pages() -> None:
    assert ROOT / "docs" / "tutorial.md" in PAGES


def test_a_wrong_output_is_noticed() -> None:
    assert matches("a\n…\nd\n", "a\nb\nc\nd\n")
    assert matches("a\n…\n", "a\n")
    assert not matches("a\n…\nd\n", "a\nb\n")
    assert not matches("a\n", "a\nb\n")
    assert list(steps("$ cat <<E\n1\nE\n1\n$ a \\\n  b\nc\n")) == [
        ("cat <<E\n1\nE\n", "1\n"),
        ("a \\\n  b\n", "c\n"),
    ]
