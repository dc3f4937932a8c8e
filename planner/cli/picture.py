"""Scenes on their way out: the format by the suffix, never over a file that is there."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import click

from planner.cli.exits import UnreadableError
from planner.cli.output import terminal_is_ascii
from planner.draw.paint import painter
from planner.draw.scene import Scene

__all__ = ["Target", "looks_like_picture", "put", "render"]

#: Format by suffix.
_SUFFIXES = {
    ".txt": "text",
    ".text": "text",
    ".svg": "svg",
    ".html": "html",
    ".htm": "html",
    ".graphml": "graphml",
    ".json": "json",
}


class Target:
    """Where a picture goes and in what format.

    :raise click.UsageError: the suffix says no format, or says another than ``--format``.
    """

    def __init__(self, out: str | None, chosen: str | None, *, force: bool) -> None:
        self.force = force
        #: None for standard output.
        self.path: Path | None = None
        self.format = chosen or "text"
        if out is None or out == "-":
            return
        # As lstopo has it, "-.svg" is SVG on standard output.
        suffix = out[1:].lower() if out.startswith("-.") else Path(out).suffix.lower()
        by_suffix = _SUFFIXES.get(suffix)
        if not out.startswith("-."):
            self.path = Path(out)
        if by_suffix is None and chosen is None:
            known = ", ".join(dict.fromkeys(_SUFFIXES))
            raise click.UsageError(
                f"'{out}' has no suffix that says a format ({known}); add one, or --format"
            )
        self.format = chosen or by_suffix or "text"


def looks_like_picture(word: str) -> bool:
    """Say whether the last word of a QEMU command line can only be where the picture goes."""
    return not word.startswith("-") and Path(word).suffix in (".svg", ".html", ".graphml")


def render(scene: Scene, kind: str, *, color: bool = False) -> str:
    """Return a scene in a format."""
    if kind == "svg":
        from planner.draw.svg import svg_text  # noqa: PLC0415  # only the format asked for

        return svg_text(scene)
    if kind == "html":
        from planner.draw.html import Assets, html_page  # noqa: PLC0415

        here = files("planner.draw")
        style, script = (here.joinpath(f"page.{end}").read_text("utf-8") for end in ("css", "js"))
        return html_page(scene, Assets(style, script))
    if kind in ("graphml", "json"):
        from planner.draw.export import scene_graphml, scene_json  # noqa: PLC0415

        if kind == "graphml":
            return scene_graphml(scene)
        return json.dumps(scene_json(scene), indent=2, ensure_ascii=False) + "\n"
    from planner.draw.scene_text import scene_text  # noqa: PLC0415

    return scene_text(scene, paint=painter(color=color), ascii_only=terminal_is_ascii())


def put(text: str, target: Target, *, color: bool) -> None:
    """Write to the target.

    :raise UnreadableError: a file is in the way, or cannot be written.
    """
    if target.path is None:
        click.echo(text, nl=False, color=color)
        return
    try:
        with target.path.open("w" if target.force else "x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise UnreadableError(f"{target.path} is there already; -f overwrites it") from error
    except OSError as error:
        raise UnreadableError(f"{target.path} cannot be written: {error.strerror}") from error
