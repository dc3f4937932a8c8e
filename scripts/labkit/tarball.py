"""A captured tree as one file: the same tree gives the same bytes, links stay links."""

from __future__ import annotations

import tarfile
from pathlib import Path

__all__ = ["SUFFIX", "pack", "unpack"]

SUFFIX = ".tar.xz"


def pack(folder: Path, archive: Path) -> None:
    """Write what *folder* holds as *archive*, in order of names, without times and owners."""
    with tarfile.open(archive, "w:xz", preset=9, format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted(folder.rglob("*")):
            member = tarfile.TarInfo(str(path.relative_to(folder)))
            member.mode = 0o644
            if path.is_symlink():
                member.type, member.linkname = tarfile.SYMTYPE, str(path.readlink())
                tar.addfile(member)
            elif path.is_dir():
                member.type, member.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(member)
            else:
                member.size = path.stat().st_size
                with path.open("rb") as data:
                    tar.addfile(member, data)


def unpack(archive: Path, folder: Path) -> None:
    """Write what *archive* holds below *folder*; nothing of it may lie outside."""
    with tarfile.open(archive, "r:xz") as tar:
        # Python 3.11.0 to 3.11.3 have no filters; every later one asks for a choice.
        tar.extraction_filter = getattr(tarfile, "data_filter", None)
        tar.extractall(folder)
