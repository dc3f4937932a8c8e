"""Reading the files that commands are given; ``-`` is standard input."""

from __future__ import annotations

import codecs
import json
import re
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from planner.cli.exits import FailedError
from planner.documents.map import DocumentError
from planner.findings import About, Finding
from planner.layout.model import Silence
from planner.text.read import MOST_BYTES, checked_length, read_file, read_pieces

if TYPE_CHECKING:
    from planner.text.fields import Record

__all__ = [
    "STDIN",
    "judge_text",
    "looks_like_profile",
    "read_bytes",
    "read_document",
    "read_log",
    "table_of",
]

_T = TypeVar("_T")

#: How findings name standard input.
STDIN = "<stdin>"

#: Of a log of any length no more than this is kept.
_PIECE_BYTES = 1 << 20


def read_bytes(path: str) -> tuple[bytes, str]:
    """Return a file's bytes and the name findings show.

    :raise FailedError: it cannot be read, or is larger than anything that is read.
    """
    try:
        if path == "-":
            return checked_length(sys.stdin.buffer.read(MOST_BYTES + 1)), STDIN
        return read_file(path), path
    except OSError as error:
        raise FailedError(f"{path} cannot be read: {error.strerror}") from error


def read_document(data: bytes, name: str, read: Callable[[dict[str, Any]], _T]) -> _T:
    """Return what *read* makes of a JSON document.

    :raise FailedError: it is none, or *read* cannot make anything of it.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FailedError(f"{name} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise FailedError(f"{name} is no JSON object")
    try:
        return read(document)
    except DocumentError as error:
        raise FailedError(f"{name}: {error}") from error


def read_log(path: str) -> Iterator[str]:
    """Yield a text of any length piece by piece; what is no UTF-8 in it is replaced.

    :raise FailedError: it cannot be read.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    try:
        stdin = iter(lambda: sys.stdin.buffer.read(_PIECE_BYTES), b"")
        yield from map(decoder.decode, stdin if path == "-" else read_pieces(path))
    except OSError as error:
        raise FailedError(f"{path} cannot be read: {error.strerror}") from error
    yield decoder.decode(b"", final=True)


def looks_like_profile(data: bytes) -> bool:
    """Say whether YAML text is a host profile rather than a layout, by its top keys."""
    from planner.host.profile_schema import PROFILE  # noqa: PLC0415  # imports yaml
    from planner.layout.schema import LAYOUT  # noqa: PLC0415

    met = {key.decode() for key in re.findall(rb"^([a-z-]+):", data, re.MULTILINE)}
    profile, layout = PROFILE.key_types.keys(), LAYOUT.key_types.keys()
    return bool(met & (profile - layout)) and not met & (layout - profile)


def table_of(data: bytes) -> Record:
    """Return the table of fields that a file's text is read by."""
    from planner.host.profile_schema import PROFILE  # noqa: PLC0415  # imports yaml
    from planner.layout.schema import LAYOUT  # noqa: PLC0415

    return PROFILE if looks_like_profile(data) else LAYOUT


def judge_text(data: bytes, name: str) -> tuple[list[Finding], tuple[Silence, ...]]:
    """Return what is wrong with a layout, or with a host profile, and the file's silencers."""
    if looks_like_profile(data):
        from planner.host.profile_file import parse_profile  # noqa: PLC0415  # only for profiles

        found = parse_profile(data, name).findings
        # What the host is like is no mistake of the file.
        return [finding for finding in found if finding.about is not About.FACTS], ()
    from planner.layout.load import load  # noqa: PLC0415  # imports yaml

    layout, findings = load(data, name)
    return findings, layout.silence if layout else ()
