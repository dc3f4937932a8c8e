"""The replacement tables of a host kind, made once from what its firmware says."""

from __future__ import annotations

import base64

from labkit import CACHE, LabError
from labkit.acpi import override
from labkit.boot import answer
from labkit.hosts import HOSTS, Host
from labkit.kernels import Kernel

__all__ = ["tables_for"]

_SECONDS = 180


def tables_for(host: Host, kernel: Kernel) -> bytes:
    """Return the archive of tables to boot *host* with; empty when it takes its firmware's.

    The firmware's own table is read in a boot of the plain host kind, and kept in the cache.

    :raise LabError: that boot fails, or there is no such table.
    """
    if host.replaced is None:
        return b""
    plain, *names = host.replaced
    kept = {name: CACHE / "tables" / f"{plain}-{name}.aml" for name in names}
    if not all(path.exists() for path in kept.values()):
        said = answer(HOSTS[plain], kernel, {"do": "take"}, seconds=_SECONDS)
        for name, path in kept.items():
            if name not in said["tables"]:
                raise LabError(f"{plain} has no ACPI table {name}")
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(base64.b64decode(said["tables"][name]))
    return override({name: path.read_bytes() for name, path in kept.items()})
