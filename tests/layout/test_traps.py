"""The traps YAML sets for whoever writes a layout, each with its exact answer.

A golden file per trap holds the input and what guestmap says: the findings, or the values read.
"""

from __future__ import annotations

import pytest
from kit import Golden
from kit.traps import GOOD, TRAPS

from planner.draw.diagnostic import render, source_text
from planner.layout.load import load
from planner.layout.model import Layout
from planner.text.harmless import harmless


def describe(layout: Layout) -> str:
    """Write the values a layout was read as, one a line, with the place each was read from."""
    lines = [f"sha256 {layout.sha256}"]
    for part in ("name", "machine", "memory", "doorbell", "devices", "hotplug", "hosts"):
        where = layout.locs.get(part)
        lines.append(f"{part} = {getattr(layout, part)!r}" + (f"  # {where}" if where else ""))
    lines += [f"{region.name} = {region!r}" for region in layout.regions]
    lines += [f"{window.name} = {window!r}" for window in layout.windows]
    return "\n".join(lines) + "\n"


def shown_input(data: bytes) -> str:
    """Write an input so that a person can read it: long lines cut, odd bytes as escapes."""
    lines = data.decode("utf-8", "backslashreplace").split("\n")
    cut = [
        line if len(line) <= 120 else f"{line[:100]}... {len(line)} characters" for line in lines
    ]
    kept = cut if len(cut) <= 20 else [*cut[:8], f"... {len(cut)} lines", *cut[-3:]]
    text = "\n".join(kept)
    return "".join(c if c == "\n" or c.isprintable() else ascii(c)[1:-1] for c in text)


@pytest.mark.parametrize("name", TRAPS)
def test_trap_has_its_exact_answer(name: str, golden: Golden) -> None:
    given = TRAPS[name]
    data = given if isinstance(given, bytes) else given.encode()
    layout, findings = load(data, "layout.yaml")
    sources = {"layout.yaml": source_text(data)}
    said = "".join(f"{harmless(line)}\n" for f in findings for line in render(f, sources))
    if said.count("\n") > 100:
        lines = said.splitlines(keepends=True)
        said = "".join([*lines[:10], f"... {len(lines)} lines\n", *lines[-10:]])
    values = describe(layout) if layout else "no layout\n"
    golden(
        f"layout/traps/{name}.txt",
        f"--- input\n{shown_input(data)}\n--- findings\n{said}--- read as\n{values}",
    )


def test_every_trap_has_a_number() -> None:
    assert {name[:2] for name in TRAPS} == {f"{number:02}" for number in range(1, 23)}


@pytest.mark.parametrize(
    ("option", "help_text"),
    [
        ("pci-hole64-size", "write 'q35-pcihost.pci-hole64-size'"),
        ("max-ram-below-4", "write 'max-ram-below-4g'"),
        ("zzz", "known are accel, acpi, append"),
    ],
)
def test_unknown_option_leads_to_a_known_one(option: str, help_text: str) -> None:
    text = GOOD.replace("virt}", f"q35, options: {{{option}: 1G}}}}")
    _, (finding,) = load(text.encode(), "layout.yaml")
    assert finding.code == "MM111"
    assert finding.help.startswith(help_text)


def test_device_property_is_an_option() -> None:
    text = GOOD.replace("virt}", "q35, options: {q35-pcihost.pci-hole64-size: 1T}}")
    layout, findings = load(text.encode(), "layout.yaml")
    assert findings == []
    assert layout is not None
    assert layout.machine.options == {"q35-pcihost.pci-hole64-size": "1T"}
