"""Changes written into a command line: the rest stays, and what is added has its own memory."""

from __future__ import annotations

import shlex

import pytest

from planner.argv.backends import FileFacts
from planner.argv.edit import edited
from planner.argv.line import parse_argv
from planner.machine.change import (
    AddPiece,
    Change,
    MoveDevice,
    ResizeBackend,
    SetCpu,
    SetMemory,
    SetOption,
    SetProperty,
)
from planner.machine.request import MemoryDevice

GIB = 1 << 30
FILES = FileFacts(
    page=lambda path: 2 << 20 if path.startswith("/huge") else 4096,
    file=lambda path: "" if path in ("/huge", "/a,b") else path,
)
PIECE = MemoryDevice("dimm0", GIB, 4 * GIB, "pc-dimm", memdev="mem0")
DIMM = "-device pc-dimm,id=dimm0,memdev=mem0,addr=0x100000000"
X86 = "qemu-system-x86_64"


def after(text: str, *changes: Change) -> str:
    """Return the options of a line after changes."""
    line = edited(parse_argv([X86, *shlex.split(text)], FILES), changes)
    return shlex.join(line.argv[1:])


@pytest.mark.parametrize(
    ("before", "change", "expected"),
    [
        ("-m 4G -S", SetMemory(GIB, 0, 0), "-m size=1G -S"),
        ("-S", SetMemory(GIB, 2 * GIB, 3), "-S -m size=1G,slots=3,maxmem=2G"),
        ("-M q35", SetOption("x", "a,b"), "-M q35 -machine x=a,,b"),
        ("-M q35,hpet=off,smm=off -S", SetOption("hpet", None), "-M q35,smm=off -S"),
        ("-S", SetProperty("a.b", "1,2"), "-S -global a.b=1,2"),
        ("-cpu max -S", SetCpu("max,x=1"), "-cpu max,x=1 -S"),
        (
            "-object memory-backend-ram,id=m,size=4G,share=on",
            ResizeBackend("m", GIB),
            "-object memory-backend-ram,id=m,size=1G,share=on",
        ),
        (
            '-object \'{"qom-type":"memory-backend-ram","id":"m","size":5}\'',
            ResizeBackend("m", GIB),
            '-object \'{"qom-type":"memory-backend-ram","id":"m","size":1073741824}\'',
        ),
        (
            "-device pc-dimm,memdev=m -device virtio-mem-pci,id=v,memdev=n",
            MoveDevice(MemoryDevice("v", GIB, None, "virtio-mem-pci"), 4 * GIB),
            "-device pc-dimm,memdev=m -device virtio-mem-pci,id=v,memdev=n,memaddr=0x100000000",
        ),
        (
            "-device pc-dimm,memdev=m,addr=1G",
            MoveDevice(MemoryDevice("", GIB, memdev="m"), 4 * GIB),
            "-device pc-dimm,memdev=m,addr=0x100000000",
        ),
    ],
)
def test_one_change(before: str, change: Change, expected: str) -> None:
    assert after(before, change) == expected


@pytest.mark.parametrize(
    ("boot", "piece"),
    [
        # Private anonymous memory: any number of backends alike are apart.
        ("memory-backend-ram,id=m,size=4G,share=on", "memory-backend-ram,id=mem0,size=1G,share=on"),
        # One file is one memory: the piece takes memory without a file, shared as before.
        (
            "memory-backend-file,id=m,size=4G,mem-path=/shm/f,align=2M,pmem=off,share=on,merge=off",
            "memory-backend-memfd,id=mem0,size=1G,share=on,merge=off",
        ),
        (
            "memory-backend-file,id=m,size=4G,mem-path=/shm/f",
            "memory-backend-memfd,id=mem0,size=1G,share=off",
        ),
        # Huge pages stay huge.
        (
            "memory-backend-file,id=m,size=4G,mem-path=/huge/f,share=on",
            "memory-backend-memfd,id=mem0,size=1G,share=on,hugetlb=on,hugetlbsize=2M",
        ),
        # In a folder each backend has a file of its own.
        (
            "memory-backend-file,id=m,size=4G,mem-path=/huge,share=on,prealloc=on",
            "memory-backend-file,id=mem0,size=1G,mem-path=/huge,share=on,prealloc=on",
        ),
        (
            "memory-backend-file,id=m,size=4G,mem-path=/a,,b",
            "memory-backend-file,id=mem0,size=1G,mem-path=/a,,b",
        ),
        (
            '{"qom-type":"memory-backend-file","id":"m","size":5,"mem-path":"/f","share":true}',
            '{"qom-type":"memory-backend-memfd","id":"mem0","size":1073741824,"share":true}',
        ),
    ],
)
def test_a_piece_has_memory_of_its_own_of_the_same_kind(boot: str, piece: str) -> None:
    words = shlex.join(["-object", boot])
    added = shlex.join(["-object", piece])
    assert after(words, AddPiece(PIECE, "m")) == f"{words} {added} {DIMM}"


@pytest.mark.parametrize(
    ("before", "backend"),
    [
        ("-m 4G", "memory-backend-ram,id=mem0,size=1G"),
        ("-mem-path /huge", "memory-backend-file,mem-path=/huge,id=mem0,size=1G"),
        (
            "-mem-path /huge/f",
            "memory-backend-memfd,share=off,hugetlb=on,hugetlbsize=2M,id=mem0,size=1G",
        ),
    ],
)
def test_a_piece_beside_memory_of_qemus_own(before: str, backend: str) -> None:
    assert after(before, AddPiece(PIECE)) == f"{before} -object {backend} {DIMM}"


def test_a_piece_takes_names_that_are_free() -> None:
    before = "-object memory-backend-ram,id=mem0,size=4G -device e1000,id=dimm0"
    assert after(before, AddPiece(PIECE)) == (
        f"{before} -object memory-backend-ram,id=mem1,size=1G"
        " -device pc-dimm,id=dimm1,memdev=mem1,addr=0x100000000"
    )
