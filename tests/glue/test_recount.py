"""What a running QEMU says of itself, told by one that is played: no host here has VFIO."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from kit import cli_runner

from planner.cli.new import command
from qmp_glue.addresses import parse_monitor
from qmp_glue.errors import GarbageError
from qmp_glue.recount import recount

VERSION = {"qemu": {"major": 10, "minor": 0, "micro": 3}, "package": ""}
CPU = "/machine/unattached/device[0]"
#: An Arm board with one device by address, as QEMU answers.
ANSWERS: dict[str, Any] = {
    "query-target": {"arch": "aarch64"},
    "query-name": {"name": "web server"},
    "query-kvm": {"enabled": False, "present": True},
    "query-cpus-fast": [{"qom-path": CPU}],
    "query-memory-devices": [],
    "query-memory-size-summary": {"base-memory": 2 << 30},
    "qom-list /machine/peripheral": [
        {"name": "gpu", "type": "child<vfio-pci>"},
        {"name": "rp1", "type": "child<pcie-root-port>"},
    ],
    "qom-list /machine/peripheral-anon": [],
    "qom-get /machine type": "virt-10.0-machine",
    "qom-get /machine memory": {"size": 2 << 30, "max-size": 8 << 30, "slots": 4},
    "qom-get /machine gic-version": "3",
    "qom-get /machine highmem-mmio-size": 1 << 40,
    "qom-get /machine compact-highmem": True,
    f"qom-get {CPU} type": "neoverse-n1-arm-cpu",
    "qom-get /machine/peripheral/gpu host": "0000:29:00.0",
}


def answer(answers: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    arguments = request.get("arguments", {})
    words = [request["execute"], arguments.get("path", ""), arguments.get("property", "")]
    key = " ".join(filter(None, words))
    if key == "qmp_capabilities":
        return {"return": {}}
    if key in answers:
        return {"return": answers[key]}
    return {"error": {"class": "GenericError", "desc": f"no {key}"}}


@contextlib.contextmanager
def played(folder: Path, answers: Mapping[str, Any]) -> Iterator[str]:
    """Play a QEMU at ``unix:PATH`` for one client."""

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            greeting = {"QMP": {"version": VERSION, "capabilities": []}}
            connection.sendall(json.dumps(greeting).encode() + b"\n")
            # The client ends its messages as it likes, and may ask several things in one go.
            while data := connection.recv(1 << 16).decode().lstrip():
                while data:
                    request, end = json.JSONDecoder().raw_decode(data)
                    data = data[end:].lstrip()
                    reply = {**answer(answers, request), "id": request.get("id")}
                    connection.sendall(json.dumps(reply).encode() + b"\n")

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "qmp"))
        listener.listen(1)
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield f"unix:{folder / 'qmp'}"
        thread.join(5)


def told(folder: Path, **changes: Any) -> str:
    answers = {key: value for key, value in {**ANSWERS, **changes}.items() if value is not None}
    with played(folder, answers) as address:
        return " ".join(recount(parse_monitor(address), folder).argv)


def test_a_command_line_that_asks_for_the_same(tmp_path: Path) -> None:
    assert told(tmp_path) == (
        "qemu-system-aarch64 -M virt-10.0,gic-version=3,highmem-mmio-size=1024G"
        " -cpu neoverse-n1 -m size=2G,maxmem=8G,slots=4 -device vfio-pci,sysfsdev=0000:29:00.0"
    )


def test_kvm_is_told(tmp_path: Path) -> None:
    changes = {"query-kvm": {"enabled": True, "present": True}}
    assert " -accel kvm " in told(tmp_path, **changes)


def test_before_the_memory_property(tmp_path: Path) -> None:
    assert " -m size=2G -device" in told(tmp_path, **{"qom-get /machine memory": None})


def test_a_platform_device(tmp_path: Path) -> None:
    (tmp_path / "iommu_group_0").mkdir()
    device = tmp_path / "devices/platform/fff51000.ethernet"
    device.mkdir(parents=True)
    (device / "iommu_group").symlink_to(tmp_path / "iommu_group_0")
    line = told(
        tmp_path,
        **{
            "qom-get /machine/peripheral/gpu host": None,
            "qom-get /machine/peripheral/gpu sysfsdev": str(device),
        },
    )
    assert line.endswith("-device vfio-pci,sysfsdev=fff51000.ethernet")


def test_a_device_nobody_can_name_is_said(tmp_path: Path) -> None:
    answers = {**ANSWERS, "qom-get /machine/peripheral/gpu host": ""}
    with played(tmp_path, answers) as address:
        result = cli_runner().invoke(command, ["--from-qmp", address])
    assert result.exit_code == 0, result.output
    assert (
        "# From a running QEMU 10.0.3.\n"
        "# Not taken over: the assigned devices: which host device 'gpu' is cannot be told\n"
    ) in result.stdout
    # -name takes more than a layout does.
    assert "name: guest\n" in result.stdout


@pytest.mark.parametrize(
    "changes",
    [{"query-target": {}}, {"query-cpus-fast": []}, {"query-kvm": {}}, {"query-name": 5}],
    ids=str,
)
def test_nonsense(changes: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(GarbageError, match="did not answer as a QEMU does"):
        told(tmp_path, **changes)
