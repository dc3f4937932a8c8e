"""``guestmap diff``: two address spaces side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import click

from planner.cli import options
from planner.cli.exits import Exit, FailedError
from planner.cli.output import json_text
from planner.cli.picture import Outlet, Picture, picture_options, send
from planner.cli.subject import AfterDashes, Subject, subject_options
from planner.draw.difference import (
    Difference,
    compare,
    difference_json,
    difference_scene,
    unified_text,
)
from planner.draw.exhibit import Exhibit
from planner.draw.paint import painter

__all__ = ["command"]

_PAINTS = {"-": "error", "+": "ram", "@": "note"}


@click.command("diff", cls=AfterDashes)
@click.argument("places", nargs=-1, metavar="A [B] [OUT] [-- QEMU ARGS...]")
@subject_options
@click.option("-u", "--unified", is_flag=True, help="Print a unified diff, one line a region.")
@picture_options
@options.json
@options.color
def command(
    *,
    places: tuple[str, ...],
    subject: Subject,
    unified: bool,
    picture: Picture,
    as_json: bool,
    color: bool,
) -> Exit:
    """Compare two layouts, plans, hosts or maps: before and after, two hosts, plan and real.

    A and B are what guestmap show takes; B may be a running QEMU or a command line instead. What
    only one of them tells of (a real map has no hosts) is not compared, which is said. OUT's
    suffix says the format, as for show. Exits with 1 when the two differ, as diff does.

    \b
    Example:
      guestmap diff old.yaml new.yaml
      guestmap diff -u layouts/hosts/hp-gen9.yaml layouts/hosts/hp-gen8-dl388.yaml
      guestmap diff plan.json --qmp unix:vm.sock
      guestmap diff plan.json change.svg -- qemu-system-aarch64 -M virt -m 4G
    """
    need = 1 if subject.is_qemu else 2
    if not need <= len(places) <= need + 1 or subject.is_two:
        raise click.UsageError("give A and one of B, --qmp ADDR or -- QEMU ARGS, then maybe OUT")
    outlet = Outlet(places[need] if len(places) > need else None, picture, as_json=as_json)
    if places[:need].count("-") > 1:
        raise click.UsageError("only one of A and B can be standard input")
    first, second = subject.of_file(places[0]), subject.exhibit(*places[1:need])
    if first.title == second.title:
        names = (*places[:need], str(subject.qmp or "the command line"))
        first, second = replace(first, title=names[0]), replace(second, title=names[1])
    found = _compared(first, second)
    if outlet.format == "json":
        outlet.put(json_text(difference_json(found)))
    elif unified:
        outlet.say(_unified(found, outlet, color=color))
    else:
        send(difference_scene(found, collapse=not picture.no_collapse), outlet, color=color)
    return Exit.FINDINGS if found.changes else Exit.OK


def _compared(first: Exhibit, second: Exhibit) -> Difference:
    try:
        return compare(first, second)
    except ValueError as error:
        raise FailedError(str(error)) from error


def _unified(found: Difference, outlet: Outlet, *, color: bool) -> Iterator[str]:
    if outlet.format != "text":
        raise click.UsageError("--unified is text")
    paint = painter(color=color and outlet.path == "-")
    for line in unified_text(found).splitlines():
        yield paint(line, _PAINTS[line[0]]) if line[0] in _PAINTS else line
