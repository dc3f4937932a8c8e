"""Findings as SARIF 2.1.0, the form code-scanning services take."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from planner import __version__
from planner.findings import CODES, Finding, Severity
from planner.region import Loc

__all__ = ["sarif"]

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVEL = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}


def sarif(findings: Iterable[Finding]) -> dict[str, Any]:
    """Return one SARIF run with the rules that were met, in order of code."""
    listed = list(findings)
    codes = sorted({finding.code for finding in listed})
    rules = [
        {
            "id": code,
            "name": CODES[code].name,
            "shortDescription": {"text": CODES[code].summary},
            "defaultConfiguration": {"level": _LEVEL[CODES[code].severity]},
        }
        for code in codes
    ]
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "guestmap", "version": __version__, "rules": rules}},
                # Our columns count characters, as Python does.
                "columnKind": "unicodeCodePoints",
                "results": [_result(finding, codes) for finding in listed],
            }
        ],
    }


def _result(finding: Finding, codes: list[str]) -> dict[str, Any]:
    text = finding.message + (f"\n{finding.help}" if finding.help else "")
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": codes.index(finding.code),
        "level": _LEVEL[finding.severity],
        "message": {"text": text},
    }
    if finding.loc:
        result["locations"] = [_location(finding.loc)]
    related = [
        {"id": number, **_location(loc), "message": {"text": label}}
        for number, (loc, label) in enumerate(finding.also)
    ]
    if related:
        result["relatedLocations"] = related
    return result


def _location(loc: Loc) -> dict[str, Any]:
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": loc.file},
            "region": {"startLine": loc.line, "startColumn": loc.column},
        }
    }
