"""Trees that look like a copy of /sys, made for tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

MSI = "0x00000000fee00000 0x00000000feefffff msi\n"
HT = "0x000000fd00000000 0x000000ffffffffff reserved\n"
SW_MSI = "0x0000000008000000 0x00000000080fffff msi\n"


def make_tree(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files below *root*; a path that ends in / makes an empty folder."""
    root.mkdir(exist_ok=True, parents=True)
    for name, content in files.items():
        path = root / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def group(number: int | str, text: str | bytes, *members: str) -> dict[str, str | bytes]:
    """Return the files of one group, its members as empty folders (lost links)."""
    base = f"kernel/iommu_groups/{number}"
    return {f"{base}/reserved_regions": text, f"{base}/type": "DMA-FQ\n"} | {
        f"{base}/devices/{member}/": "" for member in members
    }
