"""The oracle: what guestmap calls usable against what the kernel maps."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

from labkit import LabError
from labkit.boot import answer
from labkit.capture import write_tree
from labkit.hosts import Host
from labkit.kernels import Kernel
from labkit.spans import draw
from labkit.tables import tables_for
from planner.host.profile import HostProfile, Scope
from planner.host.sysfs import read_sysfs
from planner.span import Span, SpanSet

__all__ = ["BATCHES", "Result", "try_host"]

#: Devices assigned together, in each batch: alone, two of a group, the ``direct`` one, the
#: relaxable one, behind a bridge, the ISA bridge's group, and two groups in one container.
BATCHES = (
    ("0000:01:00.0",),
    ("0000:02:00.0",),
    ("0000:03:00.0",),
    ("0000:04:00.0",),
    ("0000:06:01.0",),
    ("0000:00:1f.0",),
    ("0000:01:00.0", "0000:04:00.0"),
)
_PAGE = 4096
_SECONDS_AT_LEAST, _SPANS_A_SECOND = 180.0, 50


@dataclass(slots=True)
class Result:
    """What one host kind and kernel came to."""

    host: str
    release: str
    #: Spans asked about, and those of them the kernel mapped.
    attempts: int = 0
    mapped: int = 0
    #: Batches the kernel refused as a whole (``direct``), as guestmap said.
    refused: int = 0
    #: Spans the kernel mapped and could not unmap; its own fault, no disagreement.
    stuck: list[Span] = field(default_factory=list)
    #: In words, with both verdicts.
    disagreements: list[str] = field(default_factory=list)


def try_host(host: Host, kernel: Kernel, count: int, seed: int) -> Result:
    """Boot once; compare usable ranges and *count* verdicts.

    :raise LabError: the boot fails.
    """
    batches = [batch for batch in BATCHES if all(host.has(device) for device in batch)]
    random = Random(f"{seed} {host.name} {kernel.name}")
    # What will be forbidden is known before the boot only as far as the host kind tells.
    shares = [count // len(batches) + (n < count % len(batches)) for n in range(len(batches))]
    drawn = [draw(random, share, host.edges) for share in shares]
    job = {
        "do": "trial",
        "hostname": host.name,
        "iommufd": kernel.iommufd,
        "batches": [
            {"devices": devices, "spans": [(span.start, span.size) for span in spans]}
            for devices, spans in zip(batches, drawn, strict=True)
        ],
    }
    seconds = _SECONDS_AT_LEAST + count / _SPANS_A_SECOND
    tables = tables_for(host, kernel)
    said = answer(host, kernel, job, seconds=seconds, tables=tables)
    with tempfile.TemporaryDirectory(prefix="guestmap-lab-") as name:
        write_tree(Path(name), said)
        profile = read_sysfs(Path(name) / "sys")
    bits = host.told_bits.get(kernel.name)
    if bits is not None:
        if profile.address_bits is not None:
            raise LabError(f"{host.name} tells its address bits, none may be told")
        profile = replace(profile, address_bits=bits)
    result = Result(host.name, said["release"] + (" iommufd" if kernel.iommufd else ""))
    for devices, spans, heard in zip(batches, drawn, said["batches"], strict=True):
        _judge(result, profile, devices, spans, heard)
    return result


def _judge(
    result: Result,
    profile: HostProfile,
    devices: tuple[str, ...],
    spans: list[Span],
    heard: dict[str, Any],
) -> None:
    where = f"{result.host} {result.release} {'+'.join(devices)}"
    unassignable = any(
        group is not None and profile.refuses(group)
        for group in (profile.group_of(device) for device in devices)
    )
    if "refused" in heard:
        if unassignable:
            result.refused += 1
        else:
            result.disagreements.append(
                f"{where}: the kernel refused the group: {heard['refused']}"
            )
        return
    if unassignable:
        result.disagreements.append(f"{where}: the kernel assigned a group guestmap refuses")
    usable = profile.usable(Scope.ASSIGNED, devices)
    kernels = SpanSet(Span.inclusive(first, last) for first, last in heard["ranges"])
    if usable != kernels:
        result.disagreements.append(f"{where}: usable is {usable!r}, the kernel's {kernels!r}")
    result.stuck += [Span.sized(start, size) for start, size in heard["stuck"]]
    for span, code in zip(spans, heard["verdicts"], strict=True):
        result.attempts += 1
        result.mapped += code == 0
        verdict = usable.covers(span) and span.start % _PAGE == span.end % _PAGE == 0
        if verdict != (code == 0):
            said = "mapped it" if code == 0 else f"refused it with errno {code}"
            would = "can" if verdict else "cannot"
            result.disagreements.append(f"{where}: {span} {would} be mapped; the kernel {said}")
