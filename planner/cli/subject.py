"""What ``show`` and ``diff`` are pointed at: a file of any kind, a command line, a QEMU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from planner.cli import options
from planner.cli.exits import Command, Exit
from planner.cli.output import show_findings
from planner.cli.sources import looks_like_profile, read_bytes, read_document
from planner.documents.map import FORMAT as MAP_FORMAT
from planner.documents.map import DocumentError, read_map
from planner.documents.plan import FORMAT as PLAN_FORMAT
from planner.documents.plan import read_plan
from planner.draw.exhibit import Exhibit, of_map, of_plan, of_plan_document
from planner.findings import Severity, worst
from planner.host.dump import looks_like_dump
from planner.host.profile import HostProfile, Scope
from planner.host.read import read_host, read_profile_bytes
from planner.judge.forbidden import Binding, bind
from planner.judge.verdict import judge_hosts, judge_map
from planner.region import GuestMap

if TYPE_CHECKING:
    from qmp_glue.addresses import MonitorAddress

__all__ = ["AfterDashes", "Subject", "subject_options"]


class AfterDashes(Command):
    """A command whose words after ``--`` are a QEMU command line, kept apart in ``ctx.meta``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Cut the arguments at the first ``--``."""
        if "--" in args:
            at = args.index("--")
            ctx.meta["words"] = tuple(args[at + 1 :])
            args = args[:at]
        # "-.svg" is a place, SVG on standard output, which click would take for an option.
        outs = [word for word in args if word.startswith("-.")]
        if outs:
            args = [*(word for word in args if word not in outs), "--", *outs]
        return super().parse_args(ctx, args)


def _words() -> tuple[str, ...] | None:
    words: tuple[str, ...] | None = click.get_current_context().meta.get("words")
    return words


@dataclass(frozen=True, slots=True)
class Subject:
    """What a command line points at besides files, and what is read with it."""

    qmp: MonitorAddress | None
    hosts: tuple[str, ...]
    scope: Scope | None
    model: bool
    #: The QEMU command line; None without ``--``.
    words: tuple[str, ...] | None = field(default_factory=_words)

    def __post_init__(self) -> None:
        if self.words == ():
            raise click.UsageError("give a QEMU command line after --")

    @property
    def is_qemu(self) -> bool:
        """Say whether a QEMU is meant, by its address or its command line."""
        return self.qmp is not None or self.words is not None

    @property
    def is_two(self) -> bool:
        """Say whether two QEMUs are."""
        return self.qmp is not None and self.words is not None

    def binding(self, devices: Sequence[str] = ()) -> Binding | None:
        """Return what the named hosts forbid; None when none is named."""
        if not self.hosts:
            return None
        scope = self.scope or (Scope.ASSIGNED if devices else Scope.HOST)
        return bind([read_host(path) for path in self.hosts], scope, devices)

    def exhibit(self, path: str = "") -> Exhibit:
        """Read the QEMU, or where none is meant the file, as what it is.

        :raise FailedError: it cannot be read, or nothing known is in it.
        :raise GlueError: nobody answers, or the program cannot be started.
        :raise click.exceptions.Exit: it is a layout with errors, which have been shown.
        """
        if self.qmp is not None:
            from qmp_glue.live import live_map  # noqa: PLC0415  # only for this source

            return _of_guest(str(self.qmp), live_map(self.qmp), self)
        return self._of_words(self.words) if self.words else self.of_file(path)

    def _of_words(self, words: tuple[str, ...]) -> Exhibit:
        """Read the map of a QEMU command line: by a probe, or from the machine tables."""
        from qmp_glue.argv import ArgvSource  # noqa: PLC0415  # as above

        source = ArgvSource.read(words, model=self.model)
        read = source.read_map()
        found = _of_guest(Path(words[0]).name, read.map, self, tuple(source.asked.places))
        left_out = (f"left out: {word}" for word in read.left_out)
        return replace(found, notes=(*found.notes, *left_out))

    def of_file(self, path: str) -> Exhibit:
        """Read a file, or a folder that is a copied sysfs tree, as what it is.

        :raise FailedError: as above, and the last.
        """
        if path != "-" and Path(path).is_dir():
            return _of_profile(read_host(path), self)
        data, name = read_bytes(path)
        if data.lstrip()[:1] == b"{":
            read = partial(_of_document, name=name, subject=self)
            return read_document(data, name, read)
        head = data[:4096].decode("utf-8", errors="replace")
        if looks_like_dump(head) or looks_like_profile(data):
            return _of_profile(read_profile_bytes(data, name), self)
        return _of_layout(data, name, self)


subject_options = options.as_one(
    "subject",
    Subject,
    options.qmp(),
    options.hosts("a layout's own, else this host; none for maps"),
    options.scope("the layout's"),
    options.model,
)


def _of_guest(
    title: str, guest: GuestMap, subject: Subject, devices: Sequence[str] = ()
) -> Exhibit:
    binding = subject.binding(devices)
    findings = [*judge_hosts(binding), *judge_map(guest, binding)] if binding else []
    return of_map(title, guest, binding, findings)


def _of_profile(profile: HostProfile, subject: Subject) -> Exhibit:
    named = [read_host(path) for path in subject.hosts]
    binding = bind([profile, *named], Scope.HOST, ())
    title = ", ".join(host.name for host in (profile, *named))
    return of_map(title, None, binding, judge_hosts(binding))


def _of_document(document: Mapping[str, Any], name: str, subject: Subject) -> Exhibit:
    kind = document.get("format")
    if kind == MAP_FORMAT:
        return _of_guest(Path(name).stem, read_map(document), subject)
    if kind != PLAN_FORMAT:
        raise DocumentError(f"format '{kind}'; '{PLAN_FORMAT}' and '{MAP_FORMAT}' can be shown")
    if subject.hosts:
        raise click.UsageError("a plan has its own hosts; --host goes with layouts and maps")
    return of_plan_document(read_plan(document))


def _of_layout(data: bytes, name: str, subject: Subject) -> Exhibit:
    from planner.cli.plan import read_hosts  # noqa: PLC0415  # only for layouts
    from planner.draw.diagnostic import source_text  # noqa: PLC0415
    from planner.layout.load import load  # noqa: PLC0415  # imports yaml
    from planner.place.plan import make_plan  # noqa: PLC0415

    layout, findings = load(data, name)
    if findings:
        show_findings(findings, {name: source_text(data)})
    if layout is None or worst(findings) is Severity.ERROR:
        raise click.exceptions.Exit(Exit.FINDINGS)
    if subject.scope:
        layout = replace(layout, reserve=subject.scope)
    profiles, _ = read_hosts(layout, subject.hosts)
    return of_plan(make_plan(layout, profiles, {}))
