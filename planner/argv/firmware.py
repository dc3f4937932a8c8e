"""Which images a command line puts into the guest's flash."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from planner.argv.split import ArgvError, Option

__all__ = ["FlashImage", "find_flash"]


@dataclass(frozen=True, slots=True)
class FlashImage:
    """A pflash unit and the image behind it."""

    unit: int
    path: str
    #: ``raw``, ``qcow2``, or empty when the command line leaves it to QEMU.
    format: str


def find_flash(options: Iterable[Option], machine: Mapping[str, str]) -> tuple[FlashImage, ...]:
    """Return the pflash images by unit: ``-pflash``, ``-drive if=pflash``, ``-M pflash0=NODE``.

    :raise ArgvError: an image has no file name, a unit is used twice, or a unit is left out.
    """
    listed = list(options)
    images: dict[int, FlashImage] = {}
    for option in listed:
        if option.name == "pflash":
            _add(images, FlashImage(_free(images), option.value, ""), option)
        elif option.name == "drive":
            keys = option.keys
            if keys.get("if") == "pflash":
                unit = keys.get("unit", keys.get("index", str(_free(images))))
                path = keys.get("file", keys.get("file.filename", ""))
                image = FlashImage(
                    int(unit) if unit.isdecimal() else -1, path, keys.get("format", "")
                )
                _add(images, image, option)
    nodes = _nodes(listed)
    for number in (0, 1):
        name = machine.get(f"pflash{number}")
        if name:
            images[number] = _follow(number, name, nodes)
    if sorted(images) != list(range(len(images))) or len(images) > 2:
        raise ArgvError(f"pflash units {sorted(images)} do not start at 0 or leave one out")
    return tuple(images[unit] for unit in sorted(images))


def _free(images: Mapping[int, FlashImage]) -> int:
    return next(unit for unit in range(len(images) + 1) if unit not in images)


def _add(images: dict[int, FlashImage], image: FlashImage, option: Option) -> None:
    if not image.path:
        raise ArgvError(f"'{option}' names no file, so the size of the flash is not known")
    if image.unit in images or image.unit < 0:
        raise ArgvError(f"'{option}': pflash unit {image.unit} is used twice or not a number")
    images[image.unit] = image


def _nodes(options: Iterable[Option]) -> dict[str, Mapping[str, str]]:
    """Return block nodes by name: of ``-blockdev``, and drives that have an id."""
    nodes: dict[str, Mapping[str, str]] = {}
    for option in options:
        if option.name in {"blockdev", "drive"}:
            name = option.keys.get("node-name", option.keys.get("id", ""))
            if name:
                nodes[name] = option.keys
    return nodes


def _follow(unit: int, name: str, nodes: Mapping[str, Mapping[str, str]]) -> FlashImage:
    """Find the file behind a block node, through ``file=`` references."""
    shown, image_format = name, ""
    for _ in range(len(nodes) + 1):
        keys = nodes.get(name)
        if keys is None:
            break
        image_format = image_format or keys.get("driver", keys.get("format", ""))
        path = keys.get("filename", keys.get("file.filename", ""))
        if path:
            return FlashImage(unit, path, "" if image_format == "file" else image_format)
        name = keys.get("file", "")
    raise ArgvError(f"pflash{unit}={shown} leads to no -blockdev with a file name")
