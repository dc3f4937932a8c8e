"""What ``guestmap plan`` prints and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import Result
from kit import ROOT, cli_runner

from planner.cli import group, program
from planner.cli.plan import command

GOOD = "schema: 1\nname: x\nmachine: {type: virt}\nmemory: {size: 1GiB}\n"
BAD = "schema: 1\nname: x\nmachine: {type: virt}\nmemory: {size: 4GB}\n"
HOST = str(ROOT / "layouts/hosts/ampere-altra.yaml")


def run(*words: str, text: str = "") -> Result:
    result = cli_runner().invoke(command, list(words), input=text, standalone_mode=False)
    if result.exception:
        raise result.exception
    return result


def test_a_layout_from_standard_input() -> None:
    result = run("-", "--host", HOST, text=GOOD)
    assert result.return_value == 0
    assert result.stdout.startswith("x: 1 GiB on virt, against ampere-altra (scope host): planned")


def test_a_layout_that_cannot_be_used_is_answered_in_the_form_asked_for() -> None:
    shown = run("-", "--host", HOST, text=BAD)
    assert shown.return_value == 1
    assert "<stdin>:4:16: error[MM110] bad-number: " in shown.stdout
    assert "4 | memory: {size: 4GB}" in shown.stdout
    document = json.loads(run("-", "--host", HOST, "--json", text=BAD).stdout)
    assert (document["format"], document["ok"]) == ("guestmap/plan", False)
    assert [finding["code"] for finding in document["findings"]] == ["MM110"]


def test_the_scope_can_be_said_on_the_command_line() -> None:
    amd = str(ROOT / "layouts/hosts/amd-desktop.yaml")
    text = GOOD.replace("1GiB", "4GiB")
    device = text + 'devices: [{host: "0000:29:00.0"}]\n'
    assert "(groups 27, 28)" in run("-", "--host", amd, text=device).stdout
    assert "(group 28)" in run("-", "--host", amd, "--scope", "assigned", text=device).stdout


def test_a_silenced_finding_is_left_out_and_an_idle_silencer_told() -> None:
    silent = GOOD + "silence: [{code: MM507, reason: known}]\n"
    assert "MM507" in run("-", "--host", HOST, text=GOOD).stdout
    assert "MM507" not in run("-", "--host", HOST, text=silent).stdout
    idle = GOOD + "silence: [{code: MM309, reason: known}]\n"
    assert "MM116" in run("-", "--host", HOST, text=idle).stdout


def test_colour_is_asked_for_or_absent() -> None:
    assert "\x1b[" not in run("-", "--host", HOST, text=GOOD).stdout
    assert "\x1b[" in run("-", "--host", HOST, "--color", "always", text=GOOD).stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere.yaml"], r"nowhere\.yaml cannot be read: No such file"),
        (["-", "--host", "nowhere.yaml"], r"nowhere\.yaml cannot be read"),
    ],
)
def test_what_cannot_be_read_is_exit_code_2(words: list[str], said: str) -> None:
    with pytest.raises(click.ClickException, match=said) as caught:
        run(*words, text=GOOD)
    assert caught.value.exit_code == 2


def process(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "planner.cli", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )


def test_exit_codes_of_the_process(tmp_path: Path) -> None:
    assert process("plan", "layouts/arm-guest-on-amd.yaml").returncode == 0
    assert process("plan", "layouts/x86-hp-gen9.yaml").returncode == 1
    assert process("plan", str(tmp_path / "nowhere")).returncode == 2
    assert process("plan", "--nonsense").returncode == 2
    unknown = process("plam")
    assert unknown.returncode == 2
    assert "no command 'plam'; the nearest is 'plan'" in unknown.stderr


@pytest.mark.parametrize("words", [["plan", "layouts/arm-guest-on-amd.yaml"], ["--help"]])
def test_plan_and_help_load_neither_networkx_nor_qmp(words: list[str]) -> None:
    # Not by click's runner: what it imports is not what the program does (asyncio on Python 3.14).
    code = (
        "import sys, contextlib\n"
        "from planner.cli import group\n"
        "with contextlib.suppress(SystemExit):\n"
        f"    group({words})\n"
        "print({'networkx', 'qemu', 'qemu.qmp', 'asyncio'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stderr == "set()\n"
    assert len(done.stdout) > 500


def test_a_reader_that_goes_away_is_no_error() -> None:
    shell = f"{sys.executable} -m planner.cli plan layouts/arm-fleet.yaml | head -n 1"
    done = subprocess.run(shell, shell=True, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_a_bug_is_exit_code_70(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("wires crossed")

    monkeypatch.setattr(group, "main", broken)
    monkeypatch.delenv("GUESTMAP_DEBUG", raising=False)
    assert program.run(group) == 70
    assert "internal error: RuntimeError: wires crossed" in capsys.readouterr().err
    monkeypatch.setenv("GUESTMAP_DEBUG", "1")
    with pytest.raises(RuntimeError, match="wires crossed"):
        program.run(group)


def test_an_interrupt_is_exit_code_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(group, "main", stopped)
    assert program.run(group) == 130
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize("machine", ["q35", "pc"])
def test_the_hosts_cpu_is_kvms_and_needs_its_vendor_and_width(machine: str, tmp_path: Path) -> None:
    text = GOOD.replace("type: virt", f"type: {machine}, version: '7.2', cpu: %s")
    bare = run("-", "--host", HOST, text=text % "host")
    assert bare.return_value == 1
    assert "MM204] machine-refused: the tables do not model this machine: under KVM" in bare.stdout
    vendor = run("-", "--host", HOST, text=text % '"host,vendor=GenuineIntel"')
    assert "takes the host's physical address bits, which are not known here" in vendor.stdout
    whole = text % '"host,vendor=GenuineIntel", address-bits: 39'
    plan = str(tmp_path / "plan.json")
    assert run("-", "--host", HOST, "-o", plan, text=whole).return_value == 0
    argv = cli_runner().invoke(group, ["args", plan, "--json"], standalone_mode=False)
    assert json.loads(argv.stdout)["argv"][3:7] == [
        *("-accel", "kvm"),
        *("-cpu", "host,vendor=GenuineIntel"),
    ]


def test_a_cpu_that_qemu_refuses_is_a_finding() -> None:
    text = GOOD.replace("type: virt", "type: q35, cpu: 'qemu64,phys-bits=20'")
    shown = run("-", "--host", HOST, text=text)
    assert shown.return_value == 1
    assert "QEMU would refuse this machine: phys-bits should be" in shown.stdout


def test_a_layout_taken_over_from_a_kvm_line_plans_or_says_why(tmp_path: Path) -> None:
    cpu = "host,vendor=AuthenticAMD,phys-bits=48"
    words = ["new", "--from", "--", "qemu-system-x86_64", "-M", "q35", "-accel", "kvm", "-cpu", cpu]
    text = cli_runner().invoke(group, words, standalone_mode=False).stdout
    assert f'cpu: "{cpu}"' in text
    assert run("-", "--host", HOST, text=text).return_value == 0
