"""Programs that are not the QEMU one hoped for. Each writes its process id beside itself."""

from __future__ import annotations

import sys
from pathlib import Path

_HEAD = """#!{python}
import json, os, re, signal, sys, time
open(__file__ + ".pid", "w").write(str(os.getpid()))
fd = int(re.search(r"id=guestmap-monitor,fd=(\\d+)", " ".join(sys.argv))[1])
GREETING = {{"QMP": {{"version": {{"qemu": {{"major": 9, "minor": 9, "micro": 9}}, "package": ""}},
            "capabilities": []}}}}

def send(data):
    os.write(fd, (json.dumps(data) + "\\n").encode())

def commands():
    # The client ends its messages as it likes, and may ask several things in one go.
    while data := os.read(fd, 1 << 16).decode().lstrip():
        while data:
            told, end = json.JSONDecoder().raw_decode(data)
            yield told
            data = data[end:].lstrip()

def serve(answers, greeting=GREETING):
    send(greeting)
    for command in commands():
        name = command["execute"]
        answer = answers.get(name, {{}})
        if answer == "die":
            sys.exit(3)
        if answer != "silence":
            send({{"return": answer, **{{key: command[key] for key in command if key == "id"}}}})
"""

BODIES = {
    "silent": "time.sleep(60)",
    "closes": "os.close(fd)\ntime.sleep(60)",
    "garbage": "os.write(fd, b'hello, I am a web server\\n')\ntime.sleep(60)",
    "not-a-greeting": "send({'return': {}})\ntime.sleep(60)",
    "no-version": "serve({}, {'QMP': {'version': {}, 'capabilities': []}})",
    "refuses": "sys.stderr.write(__file__ + ': unsupported machine type\\n')\nsys.exit(1)",
    "wordless": "sys.exit(7)",
    "leaves": "sys.exit(0)",
    "killed": "os.kill(os.getpid(), signal.SIGSEGV)",
    "dies-later": "serve({'human-monitor-command': 'die'})",
    "no-answer": "serve({'qom-get': 'silence', 'query-memory-devices': 'silence'})",
    "nonsense-map": "serve({'query-memory-devices': [], 'human-monitor-command': 'nonsense'})",
    "number-map": "serve({'query-memory-devices': [], 'human-monitor-command': 5})",
    "nonsense-devices": "serve({'query-memory-devices': [{'data': 1}]})",
}


def fake(directory: Path, name: str) -> Path:
    """Write one of them and return its path."""
    path = directory / f"qemu-system-{name}"
    path.write_text(_HEAD.format(python=sys.executable) + BODIES[name] + "\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def pid_of(program: Path) -> int:
    """Return the process id the program wrote."""
    return int(Path(f"{program}.pid").read_text(encoding="utf-8"))
