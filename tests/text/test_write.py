"""Files are written whole or not at all; what was there stays when anything fails."""

from __future__ import annotations

import os
import resource
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from planner.text.write import FileError, write_file

OLD = "old\n"


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let files grow to so many bytes only, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    path.write_text(OLD)
    return path


def test_a_new_file_has_what_umask_leaves(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_file(tmp_path / "new", "é\r\n")
    finally:
        os.umask(before)
    assert (tmp_path / "new").read_bytes() == b"\xc3\xa9\r\n"
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
    assert names(tmp_path) == ["new"]


def test_mode_and_owner_stay(old: Path) -> None:
    old.chmod(0o604)
    if os.geteuid() == 0:
        os.chown(old, 12, 34)
    owner = old.stat().st_uid
    write_file(old, "new")
    assert (old.read_text(), stat.S_IMODE(old.stat().st_mode)) == ("new", 0o604)
    assert old.stat().st_uid == owner
    write_file(old, "new", mode=0o644, durable=False)
    assert stat.S_IMODE(old.stat().st_mode) == 0o644


def test_the_old_file_outlives_a_full_disk(old: Path) -> None:
    with room_for(4096), pytest.raises(FileError, match=r"plan\.json cannot be written: File too"):
        write_file(old, "x" * 5000)
    assert old.read_text() == OLD
    assert names(old.parent) == ["plan.json"]


def test_a_reader_has_the_old_file_or_the_new(old: Path) -> None:
    with old.open() as reader:
        write_file(old, "new")
        assert reader.read() == OLD
    assert old.read_text() == "new"


def test_what_no_file_can_hold(old: Path) -> None:
    with pytest.raises(FileError, match="half a surrogate pair is no text"):
        write_file(old, "\ud800")
    with pytest.raises(FileError, match="embedded null"):
        write_file("a\0b", "")
    assert old.read_text() == OLD


def test_a_link_stays_a_link(old: Path) -> None:
    link = old.parent / "link"
    link.symlink_to("plan.json")
    write_file(link, "new")
    assert (str(link.readlink()), old.read_text()) == ("plan.json", "new")
    link.unlink()
    link.symlink_to("later.json")
    write_file(link, "new")
    assert (old.parent / "later.json").read_text() == "new"


def test_what_is_in_the_way_stays(old: Path) -> None:
    link = old.parent / "link"
    link.symlink_to("nowhere")
    for path in (old, link, old.parent):
        with pytest.raises(FileError, match="exists already") as caught:
            write_file(path, "new", in_the_way="name another file")
        assert caught.value.help == "name another file"
    assert old.read_text() == OLD
    write_file(old.parent / "new", "new", in_the_way="name another file")
    assert (old.parent / "new").read_text() == "new"


def test_a_name_taken_is_given_back(tmp_path: Path) -> None:
    with room_for(10), pytest.raises(FileError, match="File too large"):
        write_file(tmp_path / "new", "x" * 11, in_the_way="name another file")
    assert names(tmp_path) == []


@pytest.mark.parametrize("kind", ["a folder", "a FIFO", "a socket", "a device"])
def test_only_regular_files(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "there"
    if kind == "a folder":
        path.mkdir()
    elif kind == "a FIFO":
        os.mkfifo(path)
    elif kind == "a socket":
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(str(path))
    else:
        path.symlink_to("/dev/null")
    before = os.lstat(path)
    with pytest.raises(FileError, match=f"there is {kind}") as caught:
        write_file(path, "x")
    assert caught.value.help == "name a regular file; - is standard output"
    assert os.lstat(path) == before


def test_no_such_folder() -> None:
    with pytest.raises(FileError, match=r"^/nonexistent/p\.json cannot be written: No such file"):
        write_file("/nonexistent/p.json", "x")
