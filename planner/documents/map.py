"""The map as JSON: written by ``guestmap map``, read by ``show`` and ``diff``.

The same for a probe, the tables and a running QEMU. Addresses and sizes are hex strings, ranges
carry their last byte included. Version 1 grows only by new keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from planner.findings import read_span, span_json
from planner.region import GuestMap, Kind, Origin, Region, Window, WindowKind

__all__ = ["FORMAT", "VERSION", "DocumentError", "map_json", "read_map"]

FORMAT = "guestmap/map"
VERSION = 1


class DocumentError(ValueError):
    """The JSON is not a document this version can read."""


@contextmanager
def reading(what: str, document: Mapping[str, Any], version: int) -> Iterator[None]:
    """Check a document's version, and say in words whatever goes wrong on reading it.

    :param what: ``plan``, ``map``.
    :raise DocumentError: it is damaged, or of another version.
    """
    if document.get("version") != version:
        raise DocumentError(
            f"the {what} has version {document.get('version')}, this guestmap reads {version}"
        )
    try:
        yield
    except DocumentError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DocumentError(f"the {what} is damaged: {error!r}") from error


def map_json(guest: GuestMap, left_out: Iterable[str] = ()) -> dict[str, Any]:
    """Return a map as JSON data.

    :param left_out: words of the command line the probe did not start.
    """
    return {
        "format": FORMAT,
        "version": VERSION,
        "source": guest.source,
        "qemu": guest.qemu,
        "machine": guest.machine,
        "regions": [region_json(region) for region in guest.regions],
        "windows": [
            {"name": window.kind.value, **span_json(window.span)} for window in guest.windows
        ],
        "notes": list(guest.notes),
        "left_out": list(left_out),
    }


def region_json(region: Region) -> dict[str, Any]:
    """Return a region as maps and plans have it."""
    return {
        "name": region.name,
        "kind": region.kind.value,
        **span_json(region.span),
        "dma": region.dma,
    }


def read_map(document: Mapping[str, Any]) -> GuestMap:
    """Read a map back.

    :raise DocumentError: it is damaged, or of another version.
    """
    with reading("map", document, VERSION):
        origin = Origin(f"a map of source '{document.get('source')}'")
        return GuestMap(
            str(document["source"]),
            str(document["machine"]),
            str(document["qemu"]),
            tuple(
                Region(read_span(entry), entry["name"], Kind(entry["kind"]), origin)
                for entry in document["regions"]
            ),
            tuple(
                Window(read_span(entry), entry["name"], WindowKind(entry["name"]), origin)
                for entry in document["windows"]
            ),
            notes=tuple(map(str, document.get("notes", ()))),
        )
