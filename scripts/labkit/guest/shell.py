"""A shell on the console, for a person who wants to look around; the machine ends with it."""

from __future__ import annotations

import os
import subprocess


def run(_job: object) -> dict[str, object]:
    """Serve until the person leaves."""
    subprocess.run(["/bin/busybox", "--install", "-s", "/bin"], check=False)
    print("exit switches the machine off; python3 and busybox are here")
    subprocess.run(["/bin/busybox", "sh"], env={**os.environ, "PS1": "lab# "}, check=False)
    return {}
