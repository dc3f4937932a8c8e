"""iommufd for a kernel that has none: Debian leaves it out, so its modules are built here.

From Debian's own source of the very kernel, against its headers, with the compiler it was built
with: iommufd itself, and vfio, vfio-pci and type1, whose structures have a member more with it.
Nothing of the core changes: what iommufd needs there is exported in any case.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

from labkit import CACHE, LabError, MissingError
from labkit.packages import fetch, unpack

__all__ = ["build_iommufd"]

_SECONDS = 900
_WANTED = ("iommufd", "vfio", "vfio_iommu_type1", "vfio-pci-core", "vfio-pci")
_DEFINED = "-DCONFIG_IOMMUFD_MODULE=1 -DCONFIG_INTERVAL_TREE_SPAN_ITER=1"
#: Lines of vfio's makefiles that lead to drivers the lab has no device for.
_OTHERS = re.compile(r"platform|mdev|fsl-mc|cdx|mlx5|hisi|pds|virtio|nvgrace|qat")


def build_iommufd(release: str, suite: str) -> Path:
    """Return a folder with the modules for the amd64 kernel *release*, built unless they are there.

    :raise MissingError: packages, make or the compiler cannot be had.
    :raise LabError: the modules do not build.
    """
    done = CACHE / "iommufd" / release
    if all((done / f"{name}.ko").exists() for name in _WANTED):
        return done
    version = ".".join(release.split(".")[:2])
    base = release.removesuffix("-amd64")
    names = [f"linux-headers-{release}", f"linux-headers-{base}-common", f"linux-kbuild-{base}"]
    packages = fetch((*names, f"linux-source-{version}"), suite, "amd64")
    kept = [package for package in packages if not package.name.startswith("linux-image")]
    root = unpack(kept, CACHE / "iommufd" / f"{release}-build")
    tree = _lay_out(root, version)
    headers = root / "usr/src" / f"linux-headers-{release}"
    # The package's makefile names the place it is installed at.
    common = root / "usr/src" / f"linux-headers-{base}-common"
    (headers / "Makefile").write_text(f"include {common}/Makefile\n")
    _make(headers, tree)
    done.mkdir(parents=True, exist_ok=True)
    for name in _WANTED:
        built = next(tree.rglob(f"{name}.ko"))
        subprocess.run(["strip", "-g", "-o", str(done / built.name), str(built)], check=True)
    shutil.rmtree(root)
    return done


def _lay_out(root: Path, version: str) -> Path:
    """Unpack the needed sources and write the makefiles; return the folder to build."""
    prefix = f"linux-source-{version}"
    wanted = (
        f"{prefix}/drivers/iommu/",
        f"{prefix}/drivers/vfio/",
        f"{prefix}/lib/interval_tree.c",
    )
    with tarfile.open(root / "usr/src" / f"{prefix}.tar.xz") as archive:
        members = [member for member in archive if member.name.startswith(wanted)]
        archive.extractall(root, members, filter="data")
    tree = root / prefix / "drivers" / "iommu"
    (root / prefix / "drivers" / "vfio").rename(tree / "vfio")
    # The kernel's own copy lacks the iterator that iommufd asks for; this one is the module's own.
    source = (root / prefix / "lib" / "interval_tree.c").read_text().splitlines(keepends=True)
    own = [line for line in source if "EXPORT_SYMBOL" not in line]
    (tree / "iommufd" / "interval_tree.c").write_text("".join(own))
    makefile = tree / "iommufd" / "Makefile"
    makefile.write_text(makefile.read_text() + "iommufd-y += interval_tree.o\n")
    for makefile in (tree / "vfio" / "Makefile", tree / "vfio" / "pci" / "Makefile"):
        lines = makefile.read_text().splitlines(keepends=True)
        makefile.write_text("".join(line for line in lines if not _OTHERS.search(line)))
    (tree / "Makefile").unlink()
    (tree / "Kbuild").write_text(f"subdir-ccflags-y += {_DEFINED}\nobj-m += iommufd/ vfio/\n")
    return tree


def _make(headers: Path, tree: Path) -> None:
    command = ["make", f"-j{os.cpu_count()}", "-C", str(headers), f"M={tree}"]
    command += ["CONFIG_IOMMUFD=m", "CONFIG_VFIO=m", "CONFIG_DEBUG_INFO_BTF_MODULES=", "modules"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except FileNotFoundError as error:
        raise MissingError("make is not on this machine; the iommufd modules need it") from error
    if "gcc-12: not found" in done.stderr:
        raise MissingError("gcc-12 is not on this machine; the iommufd modules need it")
    if done.returncode:
        raise LabError(f"the iommufd modules do not build: {done.stderr.strip()[-600:]}")
