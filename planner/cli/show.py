"""``guestmap show``: a layout, plan, host, map or QEMU as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from planner.cli import options
from planner.cli.exits import Exit
from planner.cli.picture import Outlet, looks_like_picture, send
from planner.cli.subject import AfterDashes, Hosts, of_address, of_file, of_words
from planner.draw.columns import scene_of
from planner.draw.exhibit import Exhibit
from planner.host.profile import Scope

if TYPE_CHECKING:
    from qmp_glue.addresses import MonitorAddress

__all__ = ["command"]


@click.command("show", cls=AfterDashes)
@click.argument("places", nargs=-1, metavar="[FILE] [OUT] [-- QEMU ARGS...]")
@options.qmp()
@options.hosts("a layout's own, else this host; none for maps")
@options.scope("the layout's")
@options.model
@options.picture
@options.json
@options.color
@click.pass_context
def command(
    ctx: click.Context,
    *,
    places: tuple[str, ...],
    qmp: MonitorAddress | None,
    hosts: tuple[str, ...],
    scope: Scope | None,
    model: bool,
    chosen: str | None,
    force: bool,
    no_collapse: bool,
    as_json: bool,
    color: bool,
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
    words: tuple[str, ...] | None = ctx.meta.get("words")
    if words and looks_like_picture(words[-1]):
        places, words = (*places, words[-1]), words[:-1]
    if as_json and chosen not in (None, "json"):
        raise click.UsageError("--json and --format exclude each other")
    other = qmp is not None or words is not None
    most = 1 if other else 2
    if (qmp is not None and words is not None) or len(places) > most or not (places or other):
        raise click.UsageError("give one FILE, --qmp ADDR or -- QEMU ARGS, and at most one OUT")
    if words == ():
        raise click.UsageError("give a QEMU command line after --")
    out = places[-1] if len(places) == most else None
    outlet = Outlet(out, "json" if as_json else chosen, force=force)
    beside = Hosts(hosts, scope)
    exhibit = _exhibit(places, qmp, words, beside, model=model)
    send(scene_of(exhibit, collapse=not no_collapse), outlet, color=color)
    return Exit.OK


def _exhibit(
    places: tuple[str, ...],
    qmp: MonitorAddress | None,
    words: tuple[str, ...] | None,
    hosts: Hosts,
    *,
    model: bool,
) -> Exhibit:
    if qmp is not None:
        return of_address(qmp, hosts)
    if words is not None:
        return of_words(words, hosts, model=model)
    return of_file(places[0], hosts)
