"""Profiles by their table: every field read, written in canonical form, and shipped so."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from kit import ROOT, cli_runner

from planner.cli import group
from planner.documents.host import facts_sha256
from planner.findings import CODES, About
from planner.host.profile_file import parse_profile
from planner.host.profile_schema import PROFILE
from planner.text.canonical import canonical
from planner.text.fields import rows
from planner.text.source import read
from planner.text.spelling import literal

#: Every field there is, and comments and blank lines wherever a person puts them.
WHOLE = """\
# yaml-language-server: $schema=host-v1.json

schema: 1
host: {name: a, kernel: "6.1", iommu: smmuv3, address-bits: 48, page-size: 64 KiB,
       doorbells: 2, isolated-msi: true, source: "a list", derived: true}
regions: [0x0000000008000000 0x00000000080fffff msi]
reserved: |  # from the host

  /sys/kernel/iommu_groups/7/reserved_regions:0x0000000008000000 0x00000000080fffff msi

    /sys/kernel/iommu_groups/8/reserved_regions:0x0000000008000000 0x00000000080fffff msi
groups:
# the card
- {ids: 0-3,
   type: DMA}
- address-bits: 40
  id: 28
  devices: [29:00.0, {name: 0000:29:00.1, vendor: "0x10de", device: "0x2204", class: "0x030000",
    driver: vfio-pci}]  # two functions
  whole: false
  regions:
  - 0xFEE00000 0xfeefffff msi
  reserved: "0x0000000008000000 0x00000000080fffff msi"
bridge-windows:
- {name: PCI Bus 0000:00, base: 0x4000_0000, last: 0x4fffffff, bus: 0x0}

noticed:
- {code: MM308, message: "x: y", help: ask, severity: warning, groups: ["28"]}
# the end
"""
FORMED = """\
# yaml-language-server: $schema=host-v1.json

schema: 1
host:
  name: a
  kernel: "6.1"
  iommu: smmuv3
  address-bits: 48
  page-size: 64KiB
  doorbells: 2
  isolated-msi: true
  source: a list
  derived: true
regions:
  - 0x0000000008000000 0x00000000080fffff msi
reserved: |  # from the host

  /sys/kernel/iommu_groups/7/reserved_regions:0x0000000008000000 0x00000000080fffff msi

    /sys/kernel/iommu_groups/8/reserved_regions:0x0000000008000000 0x00000000080fffff msi
groups:
  # the card
  - ids: "0-3"
    type: DMA
  - id: "28"
    address-bits: 40
    whole: false
    devices:
      - "29:00.0"
      - name: "0000:29:00.1"
        vendor: "0x10de"
        device: "0x2204"
        class: "0x030000"
        driver: vfio-pci  # two functions
    regions:
      - 0xFEE00000 0xfeefffff msi
    reserved: "0x0000000008000000 0x00000000080fffff msi"
bridge-windows:
  - {name: "PCI Bus 0000:00", base: 0x4000_0000, last: 0x4fffffff, bus: 0x0}

noticed:
  - code: MM308
    message: "x: y"
    help: ask
    severity: warning
    groups: ["28"]
# the end
"""


def fields(value: object, path: str = "") -> set[str]:
    if isinstance(value, dict):
        below = {f"{path}.{key}".lstrip("."): inner for key, inner in value.items()}
        return set(below).union(*(fields(inner, at) for at, inner in below.items()))
    if isinstance(value, list):
        return set().union(*(fields(inner, f"{path}[]") for inner in value))
    return set()


def test_every_field_is_read() -> None:
    assert fields(yaml.load(WHOLE, yaml.BaseLoader)) == {path for path, _ in rows(PROFILE)}
    profile = parse_profile(WHOLE.encode(), "h.yaml")
    assert [f.code for f in profile.findings if CODES[f.code].about is About.TEXT] == []
    assert [g.id for g in profile.groups] == ["0", "1", "2", "3", "7", "8", "28"]
    assert [d.name for d in profile.groups[-1].devices] == ["0000:29:00.0", "0000:29:00.1"]
    assert (profile.page_bytes, profile.isolated_msi, profile.derived) == (65536, True, True)
    assert str(profile.bridge_windows[0].bus) == "0x0-0xfffffff"


def test_fmt_writes_a_profile_in_canonical_form() -> None:
    assert canonical(WHOLE.encode(), PROFILE) == FORMED
    assert canonical(FORMED.encode(), PROFILE) == FORMED
    assert facts_sha256(parse_profile(FORMED.encode(), "h.yaml")) == facts_sha256(
        parse_profile(WHOLE.encode(), "h.yaml")
    )
    result = cli_runner().invoke(group, ["fmt", "-"], input=WHOLE)
    assert (result.stdout, result.exit_code) == (FORMED, 0)


def test_fmt_and_lint_refuse_a_profile_with_mistakes() -> None:
    text = "schema: 1\nhost: {iommu: inte}\ngroups: []\n"
    for words in (["fmt", "-"], ["lint", "-"]):
        result = cli_runner().invoke(group, words, input=text, standalone_mode=False)
        assert result.return_value == 1
        assert "'host.iommu' is 'inte', which is none of its words" in result.stdout + result.stderr
        assert "help: write 'intel'; known are intel, amd" in result.stdout + result.stderr


def test_a_schema_of_profiles_is_printed() -> None:
    result = cli_runner().invoke(group, ["schema", "host"])
    assert result.stdout == (ROOT / "layouts" / "host-v1.json").read_text()


@given(st.text("a \t\n#:|", max_size=12))
def test_a_block_holds_every_text(text: str) -> None:
    lines = literal(text)
    if lines is None:
        assert not text.strip("\n")
        return
    header, *content = lines
    written = "a:\n  b: " + header + "\n" + "".join(f"    {c}\n" if c else "\n" for c in content)
    root, findings = read((written + "c: d\n").encode(), "f")
    assert findings == []
    assert root is not None
    assert yaml.load(written + "c: d\n", yaml.BaseLoader) == {"a": {"b": text}, "c": "d"}


@pytest.mark.parametrize("ids", ["0-99999", "0-60000", "0-999999"])
def test_groups_have_an_end(ids: str) -> None:
    entries = "".join(f'- {{ids: "{at}{ids[1:]}"}}\n' for at in range(3)) + '- {ids: "5"}\n' * 90
    text = f"schema: 1\nregions: [0x0 0xfff msi]\ngroups:\n{entries}"
    found = parse_profile(text.encode(), "h.yaml").findings
    assert {finding.code for finding in found} & {"MM104", "MM105"}
