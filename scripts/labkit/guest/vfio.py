"""VFIO type1 from Python: groups, containers, maps. Numbers from include/uapi/linux/vfio.h."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct

CHECK_EXTENSION, SET_IOMMU = 0x3B65, 0x3B66
GROUP_GET_STATUS, GROUP_SET_CONTAINER = 0x3B67, 0x3B68
GROUP_GET_DEVICE_FD = 0x3B6A
GET_INFO, MAP_DMA, UNMAP_DMA = 0x3B70, 0x3B71, 0x3B72
TYPE1V2 = 3
CAP_IOVA_RANGE = 1
READ_WRITE = 3

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
libc.ioctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p]

PIECE = 2 << 20


def group_of(device: str) -> str | None:
    """Return the group number of a PCI device, None when it is in none."""
    path = f"/sys/bus/pci/devices/{device}/iommu_group"
    return os.path.basename(os.path.realpath(path)) if os.path.exists(path) else None


def members(group: str) -> list[str]:
    """Return the PCI devices of a group."""
    return sorted(os.listdir(f"/sys/kernel/iommu_groups/{group}/devices"))


def is_bridge(device: str) -> bool:
    """Say whether VFIO has no business with a device: a bridge, which it cannot assign."""
    with open(f"/sys/bus/pci/devices/{device}/class") as file:
        return file.read().startswith(("0x0604", "0x0600"))


def driver_of(device: str) -> str:
    """Return the driver's name, empty when there is none."""
    path = f"/sys/bus/pci/devices/{device}/driver"
    return os.path.basename(os.readlink(path)) if os.path.islink(path) else ""


class Container:
    """A container with groups, and memory to map."""

    def __init__(self, groups: list[str]) -> None:
        """Open it; raises OSError naming the step that the kernel refused."""
        self.fd = os.open("/dev/vfio/vfio", os.O_RDWR)
        self.groups: list[int] = []
        for number, group in enumerate(groups):
            fd = os.open(f"/dev/vfio/{group}", os.O_RDWR)
            self.groups.append(fd)
            step("SET_CONTAINER", fd, GROUP_SET_CONTAINER, struct.pack("i", self.fd))
            if number == 0:
                step("SET_IOMMU", self.fd, SET_IOMMU, TYPE1V2)

    def close(self) -> None:
        """Close everything; the kernel unmaps."""
        for fd in self.groups:
            os.close(fd)
        os.close(self.fd)

    def ranges(self) -> tuple[int, list[tuple[int, int]]]:
        """Return page sizes and the usable ranges, last byte included, as the kernel tells."""
        buffer = bytearray(4096)
        struct.pack_into("I", buffer, 0, len(buffer))
        fcntl.ioctl(self.fd, GET_INFO, buffer, True)
        _argsz, _flags, pages, offset = struct.unpack_from("IIQI", buffer)
        found: list[tuple[int, int]] = []
        while offset:
            kind, _version, following = struct.unpack_from("HHI", buffer, offset)
            if kind == CAP_IOVA_RANGE:
                count = struct.unpack_from("I", buffer, offset + 8)[0]
                found = [
                    (low, high)
                    for low, high in struct.iter_unpack(
                        "QQ", buffer[offset + 16 : offset + 16 + 16 * count]
                    )
                ]
            offset = following
        return pages, found

    def map(self, address: int, iova: int, size: int) -> tuple[int, bool]:
        """Map and unmap again; return 0 or the errno of the map, and whether nothing is left."""
        request = struct.pack("IIQQQ", 32, READ_WRITE, address, iova, size)
        try:
            fcntl.ioctl(self.fd, MAP_DMA, request)
        except OSError as error:
            return error.errno or errno.EIO, True
        undo = bytearray(struct.pack("IIQQ", 24, 0, iova, size))
        fcntl.ioctl(self.fd, UNMAP_DMA, undo, True)
        return 0, struct.unpack_from("Q", undo, 16)[0] == size


def step(name: str, fd: int, request: int, argument: bytes | int) -> None:
    """Do an ioctl, naming it when it fails."""
    try:
        fcntl.ioctl(fd, request, argument)
    except OSError as error:
        raise OSError(error.errno, f"{name}: {error.strerror}") from error


def memory(size: int) -> int:
    """Return the address, 2 MiB aligned, of *size* bytes of memory."""
    base = anonymous(size)
    # PROT_READ|WRITE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED
    if libc.mmap(base, size, 3, 0x32, -1, 0) != base:
        raise OSError(ctypes.get_errno(), "mmap of the memory to map")
    return base


def anonymous(size: int) -> int:
    """Return the address, 2 MiB aligned, of *size* bytes nobody can touch.

    The kernel judges the IOVA before it pins: a map of such memory fails with EFAULT where the
    IOVA was accepted. So a span of terabytes can be asked about.
    """
    # PROT_NONE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_NORESERVE
    base: int | None = libc.mmap(None, size + PIECE, 0, 0x4022, -1, 0)
    if base is None or base == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno() or errno.ENOMEM, "mmap of untouchable memory")
    return -(-base // PIECE) * PIECE
