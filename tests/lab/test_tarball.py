"""The archive of a captured tree: the same bytes again, and every link a link."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from labkit.tarball import pack, unpack


def tree(folder: Path) -> Path:
    group = folder / "sys" / "kernel" / "iommu_groups" / "1"
    (group / "devices").mkdir(parents=True)
    (group / "reserved_regions").write_text("0x00000000fee00000 0x00000000feefffff msi\n")
    (folder / "sys" / "0000:01:00.0").mkdir()
    (group / "devices" / "0000:01:00.0").symlink_to("../../../../0000:01:00.0")
    return folder


def test_the_same_tree_gives_the_same_bytes_and_comes_back(tmp_path: Path) -> None:
    pack(tree(tmp_path / "a"), tmp_path / "a.tar.xz")
    pack(tree(tmp_path / "b"), tmp_path / "b.tar.xz")
    assert (tmp_path / "a.tar.xz").read_bytes() == (tmp_path / "b.tar.xz").read_bytes()

    unpack(tmp_path / "a.tar.xz", tmp_path / "back")
    names = [str(path.relative_to(tmp_path / "a")) for path in sorted((tmp_path / "a").rglob("*"))]
    again = sorted((tmp_path / "back").rglob("*"))
    assert [str(path.relative_to(tmp_path / "back")) for path in again] == names
    (link,) = (path for path in again if path.is_symlink())
    assert str(link.readlink()) == "../../../../0000:01:00.0"
    assert link.is_dir(), "an empty folder that a link leads to is kept"


def test_nothing_is_written_outside(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "evil.tar.xz", "w:xz") as tar:
        member = tarfile.TarInfo("../evil")
        member.size = 1
        tar.addfile(member, io.BytesIO(b"x"))
    with pytest.raises(tarfile.FilterError, match="outside the destination"):
        unpack(tmp_path / "evil.tar.xz", tmp_path / "folder")
    assert not (tmp_path / "evil").exists()
