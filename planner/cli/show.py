"""``guestmap show``: a layout, plan, host, map or QEMU as a picture."""

from __future__ import annotations

from dataclasses import replace

import click

from planner.cli import options
from planner.cli.exits import Exit
from planner.cli.picture import Outlet, Picture, looks_like_picture, picture_options, send
from planner.cli.subject import AfterDashes, Subject, subject_options
from planner.draw.columns import scene_of

__all__ = ["command"]


@click.command("show", cls=AfterDashes)
@click.argument("places", nargs=-1, metavar="[FILE] [OUT] [-- QEMU ARGS...]")
@subject_options
@picture_options
@options.json
@options.color
def command(
    *, places: tuple[str, ...], subject: Subject, picture: Picture, as_json: bool, color: bool
) -> Exit:
    """Show an address space: the guest, each host, what is usable, what collides.

    FILE is a layout (planned against its hosts), a plan, a host profile or a map of guestmap map
    --json; - is standard input. OUT's suffix says the format: .txt, .svg, .html, .graphml, .json;
    - or nothing is text on standard output, -.svg is SVG there. Collisions do not change the exit
    code: judging is what guestmap plan and check are for.

    \b
    Example:
      guestmap show layouts/arm-guest-on-amd.yaml
      guestmap show layouts/arm-fleet.yaml fleet.html
      guestmap show --host amd.yaml vm.svg -- qemu-system-aarch64 -M virt -m 4G
      guestmap show --qmp unix:vm.sock -
    """
    words = subject.words
    if words and looks_like_picture(words[-1]):
        places = (*places, words[-1])
        subject = replace(subject, words=words[:-1])
    most = 1 if subject.is_qemu else 2
    if subject.is_two or len(places) > most or not (places or subject.is_qemu):
        raise click.UsageError("give one FILE, --qmp ADDR or -- QEMU ARGS, and at most one OUT")
    outlet = Outlet(places[-1] if len(places) == most else None, picture, as_json=as_json)
    exhibit = subject.exhibit(*places[: most - 1])
    send(scene_of(exhibit, collapse=not picture.no_collapse), outlet, color=color)
    return Exit.OK
