"""``lint``, ``schema`` and ``fmt``: what they print, where, and how they end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result
from kit import ROOT, Golden, cli_runner

from planner.cli import fmt, group, lint, schema

LAYOUT = "schema: 1\nname: a\nmachine: {type: virt}\nmemory: {size: 1GiB}\n"
WARNED = LAYOUT + "silence: [{code: MM114, reason: none}]\n"
BAD = "schema: 1\nname: a\nmachine: {type: virtt}\nmemory: {size: 4GB}\n"
OVERLAP = """\
schema: 1
name: gpu-host
machine: {type: custom}
memory: {size: 4GiB}
regions:
  - {name: ram, kind: ram, base: 0x40000000, size: 4GiB}
  - name: ram-high
    kind: rom
    base: 0x2_0000_0000
    size: 0x1000_0000
  - name: gpu0-bar2
    kind: mmio
    base: 0x2_0000_0000
    size: 512MiB
"""


def run_lint(*arguments: str, given: str | bytes = "") -> tuple[Result, int]:
    result = cli_runner().invoke(lint.command, arguments, input=given, standalone_mode=False)
    assert result.exception is None, result.exception
    return result, result.return_value


@pytest.mark.parametrize("form", ["full", "concise", "json", "github", "sarif"])
def test_lint_formats(form: str, golden: Golden) -> None:
    result, code = run_lint("-", "--format", form, given=OVERLAP)
    assert code == 1
    assert result.stderr == ""
    golden(f"cli/golden/lint-{form}.txt", result.stdout)


def test_lint_says_nothing_of_a_good_file() -> None:
    result, code = run_lint("-", given=LAYOUT)
    assert (result.stdout, result.stderr, code) == ("", "", 0)


def test_lint_json_option_is_the_json_format() -> None:
    assert run_lint("-", "--json", given=BAD)[0].stdout == (
        run_lint("-", "--format", "json", given=BAD)[0].stdout
    )


def test_lint_takes_examples_and_profiles() -> None:
    files = sorted(map(str, [*ROOT.glob("layouts/*.yaml"), *ROOT.glob("layouts/hosts/*.yaml")]))
    result, code = run_lint("--strict", *files)
    assert (result.stdout, code) == ("", 0)
    assert len(files) > 20


def test_lint_reports_all_files(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yaml"):
        (tmp_path / name).write_text(BAD)
    result, code = run_lint("--format", "concise", *map(str, sorted(tmp_path.iterdir())))
    assert code == 1
    lines = [line.removeprefix(f"{tmp_path}/") for line in result.stdout.splitlines()]
    assert [line.split(" ")[0] for line in lines] == [
        "a.yaml:3:17:",
        "a.yaml:4:16:",
        "b.yaml:3:17:",
        "b.yaml:4:16:",
    ]


def test_strict_counts_warnings() -> None:
    assert run_lint("-", given=WARNED)[1] == 0
    result, code = run_lint("--strict", "--format", "concise", "-", given=WARNED)
    assert code == 1
    assert result.stdout == (
        "<stdin>:5:18: warning[MM116] unused-silencer: nothing is silenced by MM114 (none)\n"
    )


def test_silencer_hides_a_note_with_a_reason() -> None:
    odd = WARNED.replace("1GiB", "1073741825")
    assert run_lint("--strict", "-", given=odd)[0].stdout == ""
    assert "MM114" in run_lint("-", given=LAYOUT.replace("1GiB", "1073741825"))[0].stdout


def test_silencer_of_a_host_finding_is_not_called_unused_without_hosts() -> None:
    text = WARNED.replace("MM114", "MM406")
    assert run_lint("--strict", "-", given=text)[0].stdout == ""


def test_colour_is_escapes_around_the_same_text() -> None:
    plain = run_lint("-", "--color", "never", given=BAD)[0].stdout
    coloured = run_lint("-", "--color", "always", given=BAD)[0].stdout
    assert "\x1b[1;31m" in coloured
    assert "\x1b" not in plain


def test_unreadable_file_is_usage() -> None:
    result = cli_runner().invoke(lint.command, ["/nonexistent.yaml"])
    assert result.exit_code == 2
    assert "/nonexistent.yaml cannot be read: No such file or directory" in result.stderr


def test_schema_prints_what_is_shipped() -> None:
    result = cli_runner().invoke(schema.command, [])
    assert result.exit_code == 0
    assert json.loads(result.stdout) == json.loads((ROOT / "layouts/layout-v1.json").read_text())


def run_fmt(*arguments: str, given: str = "") -> tuple[Result, int]:
    result = cli_runner().invoke(fmt.command, arguments, input=given, standalone_mode=False)
    assert result.exception is None, result.exception
    return result, result.return_value


MESSY = """\
# top

# about name
name: a   # the name
schema: 1
# mem
memory:
  # big
  size: 4 GiB # four
devices: [{host: 01:00.0},
   # second
   {host: 02:00.0}]


machine: {version: 7.2, type: virt}
# end
"""


def test_fmt_writes_the_canonical_form(golden: Golden) -> None:
    result, code = run_fmt("-", given=MESSY)
    assert (code, result.stderr) == (0, "")
    golden("cli/golden/fmt.yaml", result.stdout)


def test_fmt_write_and_check(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(MESSY)
    result, code = run_fmt("--check", str(path))
    assert (result.stdout, code) == (f"{path}\n", 1)
    assert run_fmt("--diff", str(path))[0].stdout.startswith(f"--- {path}\n+++ {path}\n@@ -1,")
    assert path.read_text() == MESSY
    assert run_fmt("--write", str(path))[1] == 0
    assert path.read_text() != MESSY
    result, code = run_fmt("--check", str(path))
    assert (result.stdout, code) == ("", 0)


def test_fmt_leaves_a_file_with_errors_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(BAD)
    result, code = run_fmt("--write", str(path))
    assert code == 1
    assert "error[MM111]" in result.stderr
    assert path.read_text() == BAD


def test_fmt_refuses_contradicting_options() -> None:
    result = cli_runner().invoke(fmt.command, ["--write", "--check", "a.yaml"])
    assert result.exit_code == 2
    assert "--write changes files" in result.stderr


def test_examples_are_canonical() -> None:
    result, code = run_fmt("--check", *sorted(map(str, ROOT.glob("layouts/**/*.yaml"))))
    assert (result.stdout, code) == ("", 0)


def test_explain_colours_when_asked() -> None:
    plain = cli_runner().invoke(group, ["explain", "MM401"]).stdout
    coloured = cli_runner().invoke(group, ["explain", "MM401", "--color", "always"]).stdout
    assert "\x1b[" not in plain
    assert "\x1b[1m# MM401" in coloured
