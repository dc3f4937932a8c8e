"""Scenes on their way out: the format by the suffix, never over a file that is there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import click

from planner.cli import options
from planner.cli.output import json_text, put, say, terminal_is_ascii
from planner.draw.paint import painter, shown
from planner.draw.scene import Scene

__all__ = ["Outlet", "Picture", "looks_like_picture", "picture_options", "send"]

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


@dataclass(frozen=True, slots=True)
class Picture:
    """How a picture is asked for: ``--format``, ``--force`` and ``--no-collapse``."""

    chosen: str | None
    force: bool
    no_collapse: bool


picture_options = options.as_one(
    "picture",
    Picture,
    click.option(
        "--format",
        "chosen",
        type=click.Choice(list(dict.fromkeys(_SUFFIXES.values()))),
        help="Default: by OUT's suffix.",
    ),
    click.option("-f", "--force", is_flag=True, help="Overwrite OUT."),
    click.option(
        "--no-collapse", is_flag=True, help="Show each of a run of equal regions by itself."
    ),
)


class Outlet:
    """Where a picture goes and in what format.

    :raise click.UsageError: the suffix says no format, or says another than ``--format``.
    """

    def __init__(self, out: str | None, picture: Picture, *, as_json: bool = False) -> None:
        if as_json and picture.chosen not in (None, "json"):
            raise click.UsageError("--json and --format exclude each other")
        chosen = "json" if as_json else picture.chosen
        self.force = picture.force
        #: ``-`` for standard output.
        self.path = "-"
        self.format = chosen or "text"
        if out is None or out == "-":
            return
        # As lstopo has it, "-.svg" is SVG on standard output.
        suffix = out[1:].lower() if out.startswith("-.") else Path(out).suffix.lower()
        by_suffix = _SUFFIXES.get(suffix)
        if not out.startswith("-."):
            self.path = out
        if by_suffix is None and chosen is None:
            known = ", ".join(dict.fromkeys(_SUFFIXES))
            raise click.UsageError(
                f"'{out}' has no suffix that says a format ({known}); add one, or --format"
            )
        self.format = chosen or by_suffix or "text"

    def put(self, text: str) -> None:
        """Write a document.

        :raise FileError: a file is in the way, or cannot be written.
        """
        put(text, self.path, in_the_way="" if self.force else "-f overwrites it")

    def say(self, lines: Iterable[str]) -> None:
        """Write lines of text.

        :raise FileError: as above.
        """
        if self.path == "-":
            say(*lines)
        else:
            self.put("".join(f"{shown(line)}\n" for line in lines))


def looks_like_picture(word: str) -> bool:
    """Say whether the last word of a QEMU command line can only be where the picture goes."""
    return not word.startswith("-") and Path(word).suffix in (".svg", ".html", ".graphml")


def render(scene: Scene, kind: str, *, color: bool) -> str:
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
        return json_text(scene_json(scene))
    from planner.draw.scene_text import scene_text  # noqa: PLC0415

    return scene_text(scene, paint=painter(color=color), ascii_only=terminal_is_ascii())


def send(scene: Scene, outlet: Outlet, *, color: bool) -> None:
    """Draw a scene, and put it where it goes.

    :raise FileError: a file is in the way, or cannot be written.
    """
    text = render(scene, outlet.format, color=color and outlet.path == "-")
    if outlet.format == "text":
        outlet.say(text.removesuffix("\n").split("\n"))
    else:
        outlet.put(text)
