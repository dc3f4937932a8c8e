"""The kernels that decide: Debian's packaged ones, with the modules a guest loads."""

from __future__ import annotations

import lzma
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from labkit import CACHE, LabError
from labkit.iommufd import build_iommufd
from labkit.packages import fetch, unpack

__all__ = ["KERNELS", "Kernel", "get_kernel"]

#: Version as the lab names it → suite it is drawn from. The last moves on with Debian testing.
KERNELS = {
    "6.1": "bookworm",
    "6.12": "bookworm-backports",
    "6.12-iommufd": "bookworm-backports",
    "7": "testing",
}
_WITH_IOMMUFD = "-iommufd"

_ALONE = re.compile(rb"\0depends=([^\0]*)\0")


@dataclass(frozen=True, slots=True)
class Kernel:
    """An unpacked kernel package."""

    #: As the lab names it: a key of :data:`KERNELS`.
    name: str
    #: As ``uname -r`` prints it.
    release: str
    #: Debian's: ``amd64``, ``arm64``.
    architecture: str
    image: Path
    modules: Path
    #: Modules built by the lab, which take the place of the package's.
    own: Path | None = None

    @property
    def iommufd(self) -> bool:
        """Whether devices are to be attached through iommufd."""
        return self.own is not None

    def load_order(self, wanted: tuple[str, ...]) -> list[tuple[str, bytes]]:
        """Return the modules to insert, in order, as (name, bytes).

        Names the kernel has built in, or does not have at all, are left out: which of them are
        modules differs between kernels.
        """
        files = dict(_module_files(self.modules))
        if self.own:
            files |= _module_files(self.own)
        order: dict[str, bytes] = {}

        def add(name: str) -> None:
            name = name.replace("-", "_")
            if name in order or name not in files:
                return
            path = files[name]
            data = path.read_bytes()
            if path.suffix == ".xz":
                data = lzma.decompress(data)
            needs = _ALONE.search(data)
            for need in needs[1].decode().split(",") if needs else ():
                if need:
                    add(need)
            order[name] = data

        for name in wanted:
            add(name)
        return list(order.items())


@cache
def get_kernel(name: str, architecture: str) -> Kernel:
    """Fetch and unpack the kernel *name* for *architecture*.

    :raise LabError: it cannot be had, or its package is not laid out as known.
    """
    plain = name.removesuffix(_WITH_IOMMUFD)
    packages = fetch((f"linux-image-{architecture}",), KERNELS[name], architecture)
    root = unpack(packages, CACHE / "kernels" / f"{plain}-{architecture}")
    for modules in [*root.glob("lib/modules/*"), *root.glob("usr/lib/modules/*")]:
        for image in (modules / "vmlinuz", root / "boot" / f"vmlinuz-{modules.name}"):
            if image.exists():
                own = None if plain == name else build_iommufd(modules.name, KERNELS[name])
                return Kernel(name, modules.name, architecture, image, modules, own)
    listed = ", ".join(package.path.name for package in packages)
    raise LabError(f"no vmlinuz with its modules in {listed}")


@cache
def _module_files(modules: Path) -> dict[str, Path]:
    found = {}
    for path in modules.rglob("*.ko*"):
        found[path.name.split(".")[0].replace("-", "_")] = path
    return found
