"""Changes in words, for people."""

from __future__ import annotations

import pytest

from planner.machine.change import (
    AddPiece,
    Change,
    MoveDevice,
    ResizeBackend,
    SetCpu,
    SetMemory,
    SetOption,
    SetProperty,
    words_of,
)
from planner.machine.request import MemoryDevice

DIMM = MemoryDevice("", 1 << 30, 4 << 30, memdev="m0")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (SetMemory(3 << 30, 0, 0), "boot memory 3 GiB"),
        (SetOption("highmem", None), "no highmem"),
        (SetOption("its", "off"), "its=off"),
        (SetProperty("a.b", "1"), "a.b=1"),
        (SetProperty("a.b", "1", "a smaller window"), "a smaller window"),
        (SetCpu("max"), "-cpu max"),
        (SetCpu("max", "39 address bits"), "39 address bits"),
        (ResizeBackend("m", 2 << 20), "backend m 2 MiB"),
        (AddPiece(DIMM), "pc-dimm of 1 GiB at 0x100000000"),
        (MoveDevice(DIMM, 5 << 30), "m0 at 0x140000000"),
    ],
)
def test_a_change_in_words(change: Change, words: str) -> None:
    assert words_of(change) == words
