"""What a probe keeps of a command line, and what it leaves out."""

from __future__ import annotations

import pytest

from planner.argv.backends import FileFacts
from planner.argv.line import parse_argv
from planner.argv.split import ArgvError
from qmp_glue.paused import FileBackend, Paused, paused

X86 = "qemu-system-x86_64"
HEAD = [X86, "-S", "-display", "none", "-nodefaults", "-no-user-config"]


def filtered(text: str, program: str = X86) -> Paused:
    words = [program, *text.split()]
    return paused(parse_argv(words, FileFacts({"code.fd": 4096}.get, lambda _path: 4096)))


def kept(text: str, program: str = X86) -> list[str]:
    plan = filtered(text, program)
    return [*plan.argv[len(HEAD) :], *plan.devices]


def test_boot_memory_neither_reserves_nor_changes_its_name() -> None:
    ram = "memory-backend-ram,id=pc.ram,size=4294967296,reserve=off"
    machine = ["-machine", "q35,memory-backend=pc.ram"]
    assert kept("-M q35 -m 4G") == ["-m", "4G", "-object", ram, *machine]
    assert "id=mach-virt.ram" in " ".join(kept("-M virt-7.2 -m 1G", "qemu-system-aarch64"))


def test_a_machine_that_is_not_known_keeps_its_own_memory() -> None:
    assert kept("-M isapc -m 1G") == ["-m", "1G", "-machine", "isapc"]


def test_side_effects_are_left_out_and_named() -> None:
    plan = filtered(
        "-M q35 -daemonize -pidfile /run/x -netdev user,id=n -device e1000,netdev=n disk.img"
        " -drive file=d.qcow2 -qmp unix:/run/q,server -incoming defer -sandbox on -D log"
        " -device vfio-pci,host=01:00.0 -object iothread,id=io -nographic"
    )
    assert [*plan.argv, *plan.devices] == [*HEAD, "-machine", "q35"]
    assert plan.left_out == (
        "-daemonize",
        "-pidfile /run/x",
        "-netdev user,id=n",
        "-device e1000,netdev=n",
        "disk.img",
        "-drive file=d.qcow2",
        "-qmp unix:/run/q,server",
        "-incoming defer",
        "-sandbox on",
        "-D log",
        "-device vfio-pci,host=01:00.0",
        "-object iothread,id=io",
    )


def test_machine_keys_with_effects_are_left_out() -> None:
    plan = filtered("-M q35,dumpdtb=/tmp/x,hpet=off -machine kernel=vmlinux")
    assert plan.argv[len(HEAD) :] == ("-machine", "q35,hpet=off")
    assert plan.left_out == ("-machine dumpdtb=/tmp/x", "-machine kernel=vmlinux")


def test_what_moves_the_map_stays_in_order() -> None:
    words = kept(
        "-M q35 -accel tcg -cpu EPYC,phys-bits=48 -smp 4 -global q35-pcihost.pci-hole64-size=1T"
        " -device pcie-root-port,id=rp -device intel-iommu -numa node -bios bios.bin"
    )
    assert words == [
        *("-accel", "tcg", "-cpu", "EPYC,phys-bits=48", "-smp", "4"),
        *("-global", "q35-pcihost.pci-hole64-size=1T", "-numa", "node", "-bios", "bios.bin"),
        *("-machine", "q35", "-device", "pcie-root-port,id=rp", "-device", "intel-iommu"),
    ]


def test_backends_are_written_anew() -> None:
    plan = filtered(
        "-M q35 -object memory-backend-ram,id=m0,size=1G,prealloc=on,share=on,host-nodes=0"
        " -object memory-backend-file,id=m1,size=2G,mem-path=/dev/hugepages,align=1G"
        ' -device {"driver":"pc-dimm","memdev":"m1"} -mem-prealloc'
    )
    assert "memory-backend-ram,id=m0,size=1G,reserve=off" in plan.argv
    assert plan.files == (FileBackend("m1", 2 << 30, 1 << 30),)
    assert plan.devices == ("-device", '{"driver":"pc-dimm","memdev":"m1"}')
    assert plan.left_out == ("-mem-prealloc",)


def test_boot_memory_from_the_users_backends_stays_theirs() -> None:
    words = kept("-m 1G -object memory-backend-ram,id=a,size=1G -M q35,memory-backend=a")
    assert words[-1] == "q35,memory-backend=a"
    numa = kept("-m 1G -object memory-backend-ram,id=a,size=1G -numa node,memdev=a -M q35")
    assert numa[-1] == "q35"


def test_flash_is_a_unit_of_the_same_size_without_the_image() -> None:
    drive = "if=pflash,unit=0,driver=null-co,size=4096,read-zeroes=on"
    assert kept("-M q35 -drive if=pflash,format=raw,readonly=on,file=code.fd")[-2:] == [
        "-drive",
        drive,
    ]
    plan = filtered("-M q35,pflash0=n -blockdev driver=file,node-name=n,filename=code.fd")
    assert plan.argv[-4:] == ("-machine", "q35", "-drive", drive)
    assert plan.left_out == ("-blockdev driver=file,node-name=n,filename=code.fd",)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("-M q35,sgx-epc.0.memdev=m", "sgx-epc moves the map"),
        ("-object memory-backend-epc,id=m,size=1M", "cannot be probed without SGX hardware"),
        ("-object memory-backend-ram,id=m", "has no id or no size"),
        ("-object memory-backend-memfd,id=m,size=lots", "expects a non-negative number"),
        ("-drive if=pflash,file=gone.fd", "firmware image 'gone.fd' cannot be read"),
    ],
)
def test_what_can_neither_stay_nor_go(text: str, why: str) -> None:
    with pytest.raises(ArgvError) as caught:
        filtered(text)
    assert why in str(caught.value)


def test_a_size_qemu_refuses_is_left_to_qemu() -> None:
    assert kept("-M q35 -m lots") == ["-m", "lots", "-machine", "q35"]
