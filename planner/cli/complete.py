"""What the shell is offered at a TAB: files, this host's PCI addresses, monitors, findings.

Each function is a ``shell_complete`` of click. Nothing here is loaded before it is asked for, so a
TAB costs no more than ``--help``; what cannot be read is not offered, and never an error.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["devices", "files", "findings", "monitors", "plugged"]

#: Where this host's devices are; the tests have another place.
SYSFS = Path("/sys")
#: Parameters that name the host whose devices are meant.
_HOSTS = ("host", "hosts", "profile", "sysfs")


def files(
    _ctx: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    """Leave it to the shell, which knows files best."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415  # only at a TAB

    return [CompletionItem(incomplete, type="file")]


def devices(
    ctx: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    """Offer PCI addresses: of the host profile given before, else of this host."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415

    return [
        CompletionItem(_as_begun(name, incomplete), help=about)
        for name, about in _known_devices(ctx)
        if _as_begun(name, incomplete).startswith(incomplete.lower())
    ]


def plugged(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    """Offer PCI addresses behind ``vfio-pci,host=``, and the drivers one may begin with."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415

    start, equals, last = incomplete.rpartition("host=")
    if equals:
        return [
            CompletionItem(f"{start}host={item.value}", help=item.help)
            for item in devices(ctx, param, last)
        ]
    begins = ("vfio-pci,host=", "pc-dimm,", "virtio-mem-pci,")
    return [CompletionItem(begin) for begin in begins if begin.startswith(incomplete)]


def monitors(
    _ctx: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    """Offer sockets and folders, written ``unix:PATH``."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415

    start = incomplete.removeprefix("unix:")
    if "unix:".startswith(incomplete):
        start = ""
    elif start == incomplete:
        return []
    # Joined by hand: pathlib would drop the last slash, which says "in here".
    folder = start[: start.rfind("/") + 1]
    try:
        entries = sorted(Path(folder or ".").iterdir())
        found = [
            f"{folder}{entry.name}" + ("/" if entry.is_dir() else "")
            for entry in entries
            if entry.is_dir() or entry.is_socket()
        ]
    except OSError:
        return []
    return [CompletionItem(f"unix:{path}") for path in found if path.startswith(start)]


def findings(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    """Offer codes and names of findings; a log's path where neither fits."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415

    from planner.findings import CODES  # noqa: PLC0415

    listed = [CODES[code] for code in sorted(CODES)]
    found = [
        CompletionItem(entry.code, help=f"{entry.name}: {entry.summary}")
        for entry in listed
        if entry.code.startswith(incomplete.upper())
    ]
    if incomplete:
        found += [
            CompletionItem(entry.name, help=f"{entry.code}: {entry.summary}")
            for entry in listed
            if entry.name.startswith(incomplete)
        ]
    return found or files(ctx, param, incomplete)


def _as_begun(name: str, incomplete: str) -> str:
    """Leave the domain out where the user does: ``29:00.0`` for ``0000:29:00.0``."""
    domain, _, rest = name.partition(":")
    short = len(incomplete) > 2 and incomplete[2] == ":"
    return rest if short and domain == "0000" else name


def _known_devices(ctx: click.Context) -> list[tuple[str, str]]:
    """Return names and a word on each."""
    named = [ctx.params.get(key) for key in _HOSTS]
    paths = [
        path for value in named for path in ([value] if isinstance(value, str) else value or ())
    ]
    if paths and paths != ["/sys"]:
        return _devices_of(paths)
    try:
        folders = sorted((SYSFS / "bus/pci/devices").iterdir())
    except OSError:
        return []
    return [(folder.name, _about(folder)) for folder in folders]


def _devices_of(paths: list[str]) -> list[tuple[str, str]]:
    from planner.host.read import HostUnreadableError, read_host  # noqa: PLC0415

    found: dict[str, str] = {}
    for path in paths:
        try:
            profile = read_host(path)
        except HostUnreadableError:
            continue
        for group in profile.groups:
            found |= {
                device.name: f"group {group.id} of {profile.name}" for device in group.devices
            }
    return sorted(found.items())


def _about(folder: Path) -> str:
    words = []
    for key in ("class", "vendor", "device"):
        try:
            words.append((folder / key).read_text(encoding="ascii").strip())
        except (OSError, ValueError):
            continue
    driver = folder / "driver"
    if driver.is_symlink():
        words.append(driver.readlink().name)
    return " ".join(words)
