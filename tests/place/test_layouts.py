"""Every layout shipped, planned against its hosts: golden plans, and what each one promises."""

from __future__ import annotations

import json
from hashlib import sha256
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from kit import ROOT, Golden, cli_runner
from kit.plan_cases import plan_text_of

from planner.cli.plan import command

LAYOUTS = sorted(path.stem for path in (ROOT / "layouts").glob("*.yaml"))


def run(*words: str, cwd: Path = ROOT) -> tuple[int, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(cwd)
        result = cli_runner().invoke(command, list(words), standalone_mode=False)
    if result.exception:
        raise result.exception
    return int(result.return_value or 0), result.stdout


def plan_of(layout: str, *words: str) -> dict[str, Any]:
    _, out = run(f"layouts/{layout}.yaml", "--json", *words)
    document: dict[str, Any] = json.loads(out)
    return document


def number(text: str) -> int:
    return int(text, 16)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_golden_plans(layout: str, golden: Golden) -> None:
    code, text = run(f"layouts/{layout}.yaml")
    golden(f"place/golden/{layout}.txt", text)
    same_code, out = run(f"layouts/{layout}.yaml", "--json")
    golden(f"place/golden/{layout}.json", out)
    assert code == same_code == (0 if json.loads(out)["ok"] else 1)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_planned_memory_lies_in_a_forbidden_range(layout: str) -> None:
    document = plan_of(layout)
    for region in document["regions"]:
        if region["kind"] not in ("ram", "rom", "nvram"):
            continue
        for hole in document["forbidden"]:
            apart = number(region["last"]) < number(hole["base"]) or number(hole["last"]) < number(
                region["base"]
            )
            assert apart, (region, hole)


def test_arm_guest_on_amd_is_split_under_the_msi_window() -> None:
    document = plan_of("arm-guest-on-amd")
    ram = document["ram"]
    assert number(ram["boot"]["base"]) == 0x4000_0000
    assert number(ram["boot"]["last"]) <= 0xFEDF_FFFF
    assert len(ram["pieces"]) == 1
    assert number(ram["pieces"][0]["base"]) >= 1 << 32
    assert number(ram["boot"]["size"]) + number(ram["pieces"][0]["size"]) == 4 << 30
    assert ram["max_boot_bytes"] == "0xbee00000"
    assert document["doorbell"]["base"] == "0xfee00000"
    assert document["doorbell"]["choice"] == "preferred"


def test_launchpad_1869006_3054_mib_is_the_most_in_one_piece() -> None:
    text = (ROOT / "layouts/arm-guest-on-amd.yaml").read_text()
    exact = plan_text_of(text.replace("size: 4GiB", "size: 3054MiB"))
    assert exact["ram"]["pieces"] == []
    assert exact["ram"]["boot"]["last"] == "0xfedfffff"
    one_more = plan_text_of(text.replace("size: 4GiB", "size: 3055MiB"))
    assert len(one_more["ram"]["pieces"]) == 1


def test_on_an_arm_host_the_same_guest_stays_whole_and_the_doorbell_moves() -> None:
    document = plan_of("arm-guest-on-amd", "--host", "layouts/hosts/ampere-altra.yaml")
    assert document["ram"]["pieces"] == []
    assert document["ram"]["boot"]["last"] == "0x13fffffff"
    doorbell = document["doorbell"]
    assert doorbell["choice"] == "fallback"
    # The highest free window: virt with its high ECAM leaves 0x3f000000-0x3fffffff free under RAM.
    assert (doorbell["base"], doorbell["last"]) == ("0x3ff00000", "0x3fffffff")


def test_the_custom_boards_doorbell_moves_too() -> None:
    doorbell = plan_of("custom-board")["doorbell"]
    assert (doorbell["base"], doorbell["choice"]) == ("0xfdf00000", "fallback")
    assert doorbell["realised_by"] == "board"


def test_a_terabyte_and_a_half_goes_over_the_hypertransport_hole() -> None:
    document = plan_of("x86-terabyte-on-amd")
    assert [span["base"] for span in document["ram"]["boot"]["spans"]][-1] == "0x10000000000"
    assert document["ram"]["pieces"] == []


def test_every_plan_names_its_inputs_by_hash() -> None:
    document = plan_of("arm-fleet")
    data = (ROOT / "layouts/arm-fleet.yaml").read_bytes()
    assert document["inputs"]["layout:arm-fleet"] == sha256(data).hexdigest()
    assert len(document["inputs"]) == 4


def test_the_order_of_hosts_does_not_change_a_byte() -> None:
    hosts = ["ampere-altra", "hisilicon-d05", "lx2160a-honeycomb"]
    answers = {
        run(
            "layouts/arm-fleet.yaml",
            "--json",
            *(word for name in order for word in ("--host", f"layouts/hosts/{name}.yaml")),
        )
        for order in permutations(hosts)
    }
    assert len(answers) == 1


def test_the_plan_written_is_the_plan_printed(tmp_path: Path) -> None:
    target = tmp_path / "plan.json"
    _, out = run("layouts/arm-guest-on-amd.yaml", "--json", "-o", str(target))
    assert target.read_text(encoding="utf-8") == out
