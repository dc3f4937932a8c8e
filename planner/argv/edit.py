"""A command line with changes written into it; everything else stays word for word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import count

from planner.argv.backends import FileFacts
from planner.argv.keyval import Size, emit_keyval
from planner.argv.line import CommandLine, parse_argv
from planner.argv.split import Option
from planner.argv.write import address_key, backend_word, device_word, memory_words
from planner.machine.change import (
    AddPiece,
    Change,
    MoveDevice,
    ResizeBackend,
    SetCpu,
    SetMemory,
    SetOption,
    SetProperty,
    TellKernel,
)
from planner.machine.options import qemu_bool

__all__ = ["edited"]

#: What memory-backend-file has and memory-backend-memfd has not: backends/hostmem-file.c
#: ``file_backend_class_init()``, QEMU 7.2; offset 8.1, rom 9.0.
_OF_FILES = ("mem-path", "align", "discard-data", "offset", "pmem", "readonly", "rom")
_PAGE = 4096


def edited(line: CommandLine, changes: Iterable[Change]) -> CommandLine:
    """Return the command line with the changes written into it.

    :raise ArgvError: what is to be changed is not on it.
    """
    options = list(line.options)
    for change in changes:
        match change:
            case SetMemory():
                words = memory_words(change.boot_bytes, change.max_bytes, change.slots)
                _set(options, "m", words)
            case SetCpu():
                _set(options, "cpu", change.text)
            case TellKernel(parameter):
                _set(options, "append", f"{line.kernel_line or ''} {parameter}".lstrip())
            case SetProperty():
                options.append(Option.of("global", f"{change.name}={change.value}"))
            case SetOption(key, None):
                _take_out(options, key)
            case SetOption(key, str(value)):
                options.append(Option.of("machine", emit_keyval({key: value})))
            case ResizeBackend():
                _change(options, "object", change.id, {"size": Size(change.size)})
            case MoveDevice(device, address):
                key = address_key(device.driver)
                _change(options, "device", device.region, {key: address})
            case AddPiece():
                options += _piece(options, change, line.files)
    return parse_argv(replace(line, options=tuple(options)).argv, line.files)


def _set(options: list[Option], name: str, value: str) -> None:
    """Replace the last option of a name, or add one."""
    at = max((i for i, option in enumerate(options) if option.name == name), default=len(options))
    options[at : at + 1] = [Option.of(name, value)]


def _take_out(options: list[Option], key: str) -> None:
    for at, option in enumerate(options):
        if option.name == "machine" and key in option.keys:
            options[at] = option.changed({key: None})


def _find(options: list[Option], name: str, identity: str) -> int:
    """Return where an option is, by id; a device without one goes by its backend."""
    return next(
        at
        for at, option in enumerate(options)
        if option.name == name
        and identity == option.keys.get("id", option.keys.get("memdev") if name == "device" else "")
    )


def _change(
    options: list[Option], name: str, identity: str, changes: Mapping[str, str | int | None]
) -> None:
    at = _find(options, name, identity)
    options[at] = options[at].changed(changes)


def _piece(options: list[Option], change: AddPiece, files: FileFacts) -> list[Option]:
    """Return a piece and its backend."""
    taken = {option.keys.get("id", "") for option in options}
    device = change.device
    device = replace(device, id=_free(device.id, taken), memdev=_free(device.memdev, taken))
    own: dict[str, str | int | None] = {"id": device.memdev, "size": Size(device.size)}
    paths = [option.value for option in options if option.name == "mem-path"]
    if change.like:
        like = options[_find(options, "object", change.like)]
    elif paths:
        keys = {"qom-type": "memory-backend-file", "mem-path": paths[-1]}
        like = Option.of("object", emit_keyval(keys, "qom-type"))
    else:
        like = Option.of("object", backend_word(device.memdev, device.size, reserve=True))
    backend = like.changed({**_unshared(like.keys, files), **own})
    return [backend, Option.of("device", device_word(device))]


def _free(name: str, taken: set[str]) -> str:
    """Return the name, or the first numbered like it that is not taken."""
    stem = name.rstrip("0123456789")
    others = (f"{stem}{number}" for number in count())
    return name if name not in taken else next(other for other in others if other not in taken)


def _unshared(keys: Mapping[str, str], files: FileFacts) -> dict[str, str | int | None]:
    """Return what gives the copy of a backend memory of its own, in pages of the same size.

    Two backends on one file are one memory at two guest addresses. A folder gives each backend a
    file of its own (system/physmem.c ``file_ram_open()``, QEMU 7.2).
    """
    path = keys.get("mem-path", "")
    if keys["qom-type"] != "memory-backend-file" or not files.file(path):
        return {}
    changes: dict[str, str | int | None] = dict.fromkeys(_OF_FILES)
    # memfd is shared unless told otherwise, files are private: hostmem-memfd.c and hostmem.c, 7.2.
    shared = qemu_bool("share", keys.get("share", "off"))
    changes |= {"qom-type": "memory-backend-memfd", "share": shared}
    page = files.page(path) or _PAGE
    if page > _PAGE:
        changes |= {"hugetlb": True, "hugetlbsize": Size(page)}
    return changes
