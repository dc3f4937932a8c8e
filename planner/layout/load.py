"""Layout text → :class:`~planner.layout.model.Layout`, or everything that is wrong with it."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import Any

from planner.findings import Finding
from planner.guest.kernel import UNKNOWN, Guest, Onlines, Pieces
from planner.guest.presets import find_preset
from planner.host.profile import Scope
from planner.layout.meaning import Board, check, target
from planner.layout.model import (
    PREFERRED_DOORBELL,
    DoorbellSpec,
    Layout,
    MachineSpec,
    MemorySpec,
    Silence,
)
from planner.layout.schema import LAYOUT, PAGES
from planner.region import Loc
from planner.text.fields import Loaded, open_file

__all__ = ["load"]


def load(data: bytes, file: str) -> tuple[Layout | None, list[Finding]]:
    """Read a layout: first its text, then its shape, then its meaning, each as far as it goes.

    :param file: the name to show, and to resolve the layout's own paths by.
    :return: the layout, or None when a finding is an error, and all findings in order of place.
    """
    loaded, found = open_file(LAYOUT, data, file)
    if loaded is None:
        return None, found.findings()
    board = check(loaded, found)
    layout = None
    if not found.failed:
        layout = _layout(loaded, board, file, sha256(data).hexdigest())
    return layout, found.findings()


def _layout(loaded: Loaded, board: Board, file: str, digest: str) -> Layout:
    """Make the typed layout of values that were found whole."""
    values = loaded.values
    machine, memory = values["machine"], values["memory"]
    doorbell: dict[str, Any] = values.get("doorbell", {})
    return Layout(
        name=values["name"],
        machine=MachineSpec(
            type=machine["type"],
            version=machine.get("version", ""),
            cpu=machine.get("cpu", ""),
            options=machine.get("options", {}),
            address_bits=machine.get("address-bits"),
        ),
        memory=MemorySpec(
            size=memory["size"],
            max=memory.get("max"),
            slots=memory.get("slots"),
            block=memory.get("block"),
            boot_min=memory.get("boot-min"),
            pieces=Pieces(memory.get("pieces", Pieces.AUTO)),
        ),
        guest=_guest(values.get("guest", {}), machine["type"]),
        doorbell=DoorbellSpec(
            prefer=doorbell.get("prefer", PREFERRED_DOORBELL),
            pin=doorbell.get("pin"),
            size=doorbell.get("size"),
        ),
        reserve=Scope(values.get("reserve", Scope.HOST)),
        devices=tuple(entry["host"] for entry in values.get("devices", ())),
        hotplug=tuple(values.get("hotplug", {}).get("devices", ())),
        hosts=tuple(values.get("hosts", ())),
        regions=tuple(board.regions),
        windows=tuple(sorted(board.windows)),
        silence=tuple(
            Silence(entry["code"], entry["reason"], _at(loaded, index))
            for index, entry in enumerate(values.get("silence", ()))
        ),
        locs=loaded.locs,
        file=file,
        sha256=digest,
    )


def _guest(entry: dict[str, Any], machine_type: str) -> Guest:
    """Return the preset, with what the layout says itself in place of the preset's."""
    told: dict[str, Any] = {
        name.replace("-", "_"): entry[name] == "yes"
        for name in ("acpi-hotplug", "virtio-mem")
        if name in entry
    }
    if "page-size" in entry:
        told["page_bytes"] = PAGES[entry["page-size"]]
    if "onlines" in entry:
        told["onlines"] = Onlines(entry["onlines"])
    return replace(find_preset(entry.get("preset", ""), target(machine_type)) or UNKNOWN, **told)


def _at(loaded: Loaded, index: int) -> Loc | None:
    return loaded.locs.get(f"silence.{index}.code")
