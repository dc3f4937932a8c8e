"""Sizes of images and pages of paths."""

from __future__ import annotations

from pathlib import Path

import pytest

from qmp_glue.files import image_size, page_size


def test_a_raw_image_is_as_large_as_its_file(tmp_path: Path) -> None:
    path = tmp_path / "raw"
    path.write_bytes(bytes(4097))
    assert image_size(str(path)) == 4097


def test_a_qcow2_image_tells_its_size_itself(tmp_path: Path) -> None:
    path = tmp_path / "qcow2"
    path.write_bytes(b"QFI\xfb" + bytes(20) + (64 << 20).to_bytes(8, "big") + bytes(500))
    assert image_size(str(path)) == 64 << 20


def test_an_image_that_is_not_there() -> None:
    assert image_size("/nowhere") is None


def test_pages_of_an_ordinary_path(tmp_path: Path) -> None:
    assert page_size(str(tmp_path / "not-yet")) == 4096


def test_pages_of_a_hugetlbfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = f"none / ext4 rw 0 0\nbroken\nnone {tmp_path} hugetlbfs rw 0 0\n"
    monkeypatch.setattr(Path, "read_text", lambda *_args, **_more: mounts)
    assert page_size(str(tmp_path / "x")) == tmp_path.stat().st_blksize


def test_mounts_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_more: object) -> str:
        raise PermissionError

    monkeypatch.setattr(Path, "read_text", refuse)
    assert page_size(str(tmp_path)) is None
