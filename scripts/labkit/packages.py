"""Debian packages for the guests: fetched by apt into the cache, checked, unpacked.

A private apt state below the cache is used, so neither the system's package lists nor its foreign
architectures change. The mirror is the one this machine's apt already uses.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from labkit import CACHE, MissingError

__all__ = ["SUITES", "Package", "fetch", "unpack"]

#: Suites the lab draws from; the guests' programs come from the first.
SUITES = ("bookworm", "bookworm-backports", "testing")
_ARCHITECTURES = ("amd64", "arm64")
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_APT_SECONDS = 600
# Some machines switch these off, and then every question takes seconds. On the command line,
# because the machine's configuration is read after the file that APT_CONFIG names.
_APT_OPTIONS = (
    *("-o", "Dir::Cache::pkgcache=pkgcache.bin", "-o", "Dir::Cache::srcpkgcache=srcpkgcache.bin"),
    *("-o", "Acquire::GzipIndexes=false", "-o", "Acquire::Languages=none"),
)
#: Kernel metapackages name the real one; newer kernels are split over several.
_FOLLOW = re.compile(r"linux-(?:image|binary|base|modules)-\d\S*")


@dataclass(frozen=True, slots=True)
class Package:
    """One package file in the cache, its checksum verified."""

    name: str
    version: str
    architecture: str
    path: Path


def fetch(names: tuple[str, ...], suite: str, architecture: str) -> list[Package]:
    """Return the package files of *names* and of the kernels they stand for.

    What is in the cache is used as it is, after its SHA-256 was checked; nothing is asked of a
    mirror then.

    :raise MissingError: apt cannot fetch a package, or a file does not have the checksum it should.
    """
    with _alone():
        rows = _known(names, suite, architecture)
    found = []
    for row in rows:
        path = CACHE / "debs" / row["file"]
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest != row["sha256"]:
            path.unlink()
            raise MissingError(
                f"{path.name} has SHA-256 {digest}, not {row['sha256']}; it is removed, run again"
            )
        found.append(Package(row["name"], row["version"], architecture, path))
    return found


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Let one process at a time use the apt state and the index; others wait."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _known(names: tuple[str, ...], suite: str, architecture: str) -> list[dict[str, str]]:
    """Return the rows of the packages, from the index or fetched now."""
    index = CACHE / "packages.json"
    known: dict[str, list[dict[str, str]]] = json.loads(index.read_text()) if index.exists() else {}
    key = f"{suite}/{architecture}/{','.join(names)}"
    if key not in known or not all((CACHE / "debs" / row["file"]).exists() for row in known[key]):
        known[key] = _download(names, suite, architecture)
        index.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    return known[key]


def unpack(packages: list[Package], into: Path) -> Path:
    """Unpack *packages* below *into* unless that was done before; return *into*."""
    with _alone():
        return _unpacked(packages, into)


def _unpacked(packages: list[Package], into: Path) -> Path:
    stamp = into / ".unpacked"
    listed = "\n".join(package.path.name for package in packages)
    if stamp.exists() and stamp.read_text() == listed:
        return into
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    for package in packages:
        _run(["dpkg", "-x", str(package.path), str(into)])
    stamp.write_text(listed)
    return into


def _download(names: tuple[str, ...], suite: str, architecture: str) -> list[dict[str, str]]:
    """Ask apt for the packages; return the rows for the index."""
    config = _apt_root()
    debs = CACHE / "debs"
    debs.mkdir(exist_ok=True)
    rows, todo, done = [], list(names), set()
    while todo:
        name = todo.pop(0)
        if name in done:
            continue
        done.add(name)
        record = _show(config, name, suite, architecture)
        if not name.startswith("linux-headers"):
            todo += _FOLLOW.findall(record.get("Depends", ""))
        file = Path(record["Filename"]).name
        target = debs / file
        if not target.exists():
            pinned = f"{name}:{architecture}={record['Version']}"
            _run(["apt-get", *_APT_OPTIONS, "download", pinned], config=config, cwd=debs)
            # apt escapes the epoch's colon in the name it writes; the archive drops the epoch.
            escaped = f"{name}_{record['Version'].replace(':', '%3a')}_{record['Architecture']}.deb"
            if (debs / escaped).exists():
                (debs / escaped).rename(target)
        row = {"name": name, "version": record["Version"], "file": file, "sha256": record["SHA256"]}
        rows.append(row)
    return rows


def _show(config: Path, name: str, suite: str, architecture: str) -> dict[str, str]:
    """Return the fields of the package record that *suite* offers."""
    warned = ""
    for attempt in ("have", "update"):
        if attempt == "update":
            warned = _run(["apt-get", *_APT_OPTIONS, "update"], config=config)
        said = subprocess.run(
            [
                *("apt-cache", *_APT_OPTIONS, "-o", f"APT::Default-Release={suite}"),
                *("show", "--no-all-versions", f"{name}:{architecture}"),
            ],
            env=os.environ | {"APT_CONFIG": str(config)},
            capture_output=True,
            text=True,
            timeout=_APT_SECONDS,
            check=False,
        )
        fields = re.findall(r"^([\w-]+): (.*)$", said.stdout, re.MULTILINE)
        if "SHA256" in dict(fields):
            return dict(fields)
    why = " ".join((warned or said.stderr).split())
    raise MissingError(f"{suite} gives no package {name} for {architecture}: {why[:400]}")


def _apt_root() -> Path:
    """Make the private apt state below the cache; return its configuration file."""
    root = CACHE / "apt"
    for part in ("lists/partial", "cache/archives/partial", "preferences.d"):
        (root / part).mkdir(parents=True, exist_ok=True)
    (root / "status").touch()
    if not _KEYRING.exists():
        raise MissingError(f"{_KEYRING} is missing; install debian-archive-keyring")
    options = f"[arch={','.join(_ARCHITECTURES)} signed-by={_KEYRING}]"
    mirror = _mirror()
    lines = [f"deb {options} {mirror} {suite} main\n" for suite in SUITES]
    (root / "sources.list").write_text("".join(lines))
    config = root / "apt.conf"
    # The directories are this state's own; transport, proxies and the like stay the machine's.
    config.write_text(
        f'Dir::Etc::sourcelist "{root}/sources.list";\n'
        'Dir::Etc::sourceparts "-";\n'
        f'Dir::Etc::preferencesparts "{root}/preferences.d";\n'
        'Dir::Etc::preferences "-";\n'
        f'Dir::State::lists "{root}/lists";\n'
        f'Dir::State::status "{root}/status";\n'
        f'Dir::Cache "{root}/cache";\n'
        f"APT::Architectures {{ {' '.join(f'{chr(34)}{a}{chr(34)};' for a in _ARCHITECTURES)} }};\n"
        'APT::Sandbox::User "root";\n'
    )
    return config


def _mirror() -> str:
    """Return the Debian mirror of this machine's apt."""
    said = subprocess.run(
        [
            *("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)"),
            "Created-By: Packages",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    for line in said.stdout.splitlines():
        uri, release, component = line.split()
        if component == "main" and release in ("bookworm", "trixie", "stable", "testing", "sid"):
            return uri
    raise MissingError(
        "this machine's apt has no Debian mirror configured, so no kernel can be had"
    )


def _run(command: list[str], *, config: Path | None = None, cwd: Path | None = None) -> str:
    """Run a command of apt or dpkg; return what it warned of.

    :raise MissingError: it fails, hangs, or is not there.
    """
    env = os.environ | ({"APT_CONFIG": str(config)} if config else {})
    try:
        done = subprocess.run(
            command,
            env=env,
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=_APT_SECONDS,
            check=True,
        )
    except FileNotFoundError as error:
        raise MissingError(
            f"{command[0]} is not on this machine; the lab needs Debian's apt"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise MissingError(f"{' '.join(command)} gave no answer in {_APT_SECONDS} s") from error
    except subprocess.CalledProcessError as error:
        raise MissingError(f"{' '.join(command)} failed: {error.stderr.strip()}") from error
    return done.stderr
