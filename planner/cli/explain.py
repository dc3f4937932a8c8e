"""``guestmap explain``: a finding's page, or what a log's messages mean."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

import planner
from planner.cli import options
from planner.cli.complete import findings
from planner.cli.exits import Command, Exit, FailedError
from planner.cli.output import print_json, say, tell
from planner.cli.sources import read_log
from planner.draw.paint import Paint, painter
from planner.findings import CODES, span_json
from planner.text.words import nearest

__all__ = ["command", "page"]

_CODE = re.compile(r"MM[0-9]{3}\Z", re.IGNORECASE)


def page(code: str) -> str:
    """Return the page of a finding, as shipped or from the source tree.

    :raise FailedError: it is not there.
    """
    package = Path(planner.__file__).parent
    for folder in (package / "shipped" / "findings", package.parent / "docs" / "findings"):
        path = folder / f"{code}.md"
        if path.is_file():
            return path.read_text(encoding="utf-8")
    raise FailedError(f"the page of {code} is not installed")


@click.command("explain", cls=Command)
@click.argument("what", required=False, metavar="[CODE | FILE | -]", shell_complete=findings)
@options.hosts("none; with it a log's addresses are checked")
@options.json
@options.color
def command(what: str | None, hosts: tuple[str, ...], *, as_json: bool, color: bool) -> Exit:
    """Explain a finding, or the words of QEMU, libvirt or the kernel.

    CODE is a finding's code or name; without it all are listed. A FILE, or - for standard input, is
    a log: what is known in it is told apart, with its cause and what to do. Exits with 1 when
    nothing in a log is known.

    \b
    Example:
      guestmap explain MM403
      journalctl -k | guestmap explain - --host thishost.yaml
    """
    if what is None:
        return _list(as_json=as_json)
    code = _code(what)
    if code:
        return _page(code, as_json=as_json, color=color)
    if what != "-" and not Path(what).exists():
        near = nearest(what.upper(), CODES) or nearest(what, [c.name for c in CODES.values()])
        hint = f"; the nearest is {near}" if near else ""
        raise click.UsageError(f"'{what}' is neither a finding nor a file{hint}")
    return _log(what, hosts, as_json=as_json, color=color)


def _code(what: str) -> str:
    if _CODE.match(what) and what.upper() in CODES:
        return what.upper()
    return next((code for code, entry in CODES.items() if entry.name == what), "")


def _list(*, as_json: bool) -> Exit:
    listed = sorted(CODES.values(), key=lambda entry: entry.code)
    if as_json:
        print_json(
            {
                "format": "guestmap/codes",
                "version": 1,
                "codes": [
                    {
                        "code": entry.code,
                        "name": entry.name,
                        "severity": entry.severity.value,
                        "summary": entry.summary,
                    }
                    for entry in listed
                ],
            }
        )
    else:
        width = max(len(entry.name) for entry in listed)
        say(*(f"{e.code}  {e.name:<{width}}  {e.severity:<7}  {e.summary}" for e in listed))
    return Exit.OK


def _page(code: str, *, as_json: bool, color: bool) -> Exit:
    text = page(code)
    if as_json:
        entry = CODES[code]
        print_json(
            {
                "format": "guestmap/page",
                "version": 1,
                "code": code,
                "name": entry.name,
                "severity": entry.severity.value,
                "markdown": text,
            }
        )
        return Exit.OK
    paint = painter(color=color)
    say(*(paint(line, "bold") if line.startswith("#") else line for line in text.splitlines()))
    return Exit.OK


def _log(what: str, hosts: tuple[str, ...], *, as_json: bool, color: bool) -> Exit:
    from planner.explain.symptoms import Symptom, recognise  # noqa: PLC0415  # only for logs
    from planner.host.read import read_host  # noqa: PLC0415

    profiles = [read_host(path) for path in hosts]
    symptoms: list[Symptom] = recognise(read_log(what), profiles)
    if as_json:
        print_json(
            {"format": "guestmap/explain", "version": 1, "symptoms": [*map(_json, symptoms)]}
        )
    elif symptoms:
        paint = painter(color=color)
        for number, symptom in enumerate(symptoms):
            say(*[""] * bool(number), *_text(symptom, paint))
    else:
        tell("nothing in the text is known to guestmap")
    return Exit.OK if symptoms else Exit.FINDINGS


def _text(symptom: Any, paint: Paint) -> list[str]:
    row = symptom.row
    lines = [
        paint(f"line {symptom.line}: {row.title}", "bold"),
        f"  said    {symptom.text[:400]}",
        f"  cause   {row.cause}",
    ]
    lines += [f"  here    {verdict}" for verdict in symptom.verdicts]
    lines.append(f"  do      {row.remedy}")
    if row.codes:
        lines.append(f"  see     guestmap explain {', '.join(row.codes)}")
    return lines


def _json(symptom: Any) -> dict[str, Any]:
    row = symptom.row
    data: dict[str, Any] = {
        "line": symptom.line,
        "text": symptom.text,
        "symptom": row.id,
        "title": row.title,
        "cause": row.cause,
        "remedy": row.remedy,
        "codes": list(row.codes),
        "devices": list(symptom.devices),
        "verdicts": list(symptom.verdicts),
    }
    if symptom.span:
        data["range"] = span_json(symptom.span)
    return data
