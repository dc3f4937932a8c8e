"""iommufd from Python, behind VFIO groups. Numbers from include/uapi/linux/iommufd.h."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct

import vfio

IOVA_RANGES, MAP, UNMAP, VFIO_IOAS = 0x3B84, 0x3B85, 0x3B86, 0x3B88
FIXED_READ_WRITE = 7
MOST_RANGES = 64


class Space:
    """An address space with devices attached, as :class:`vfio.Container`."""

    def __init__(self, groups: list[str]) -> None:
        """Open it; raises OSError naming the step that the kernel refused."""
        self.fd = os.open("/dev/iommu", os.O_RDWR)
        self.open: list[int] = []
        for group in groups:
            fd = os.open(f"/dev/vfio/{group}", os.O_RDWR)
            self.open.append(fd)
            vfio.step("SET_CONTAINER", fd, vfio.GROUP_SET_CONTAINER, struct.pack("i", self.fd))
            for member in vfio.members(group):
                if vfio.driver_of(member) == "vfio-pci":
                    self.open.append(self.device(fd, member))
        told = bytearray(struct.pack("IIHH", 12, 0, 0, 0))
        fcntl.ioctl(self.fd, VFIO_IOAS, told, True)
        self.space: int = struct.unpack_from("I", told, 4)[0]

    def device(self, group: int, name: str) -> int:
        """Open a device, which attaches it."""
        text = ctypes.create_string_buffer(name.encode())
        fd: int = vfio.libc.ioctl(group, vfio.GROUP_GET_DEVICE_FD, ctypes.addressof(text))
        if fd < 0:
            code = ctypes.get_errno()
            raise OSError(code, f"GET_DEVICE_FD {name}: {os.strerror(code)}")
        return fd

    def close(self) -> None:
        """Close everything; the kernel unmaps."""
        for fd in reversed(self.open):
            os.close(fd)
        os.close(self.fd)

    def ranges(self) -> tuple[int, list[tuple[int, int]]]:
        """Return the alignment and the usable ranges, last byte included, as the kernel tells."""
        room = (ctypes.c_uint64 * (2 * MOST_RANGES))()
        asked = bytearray(
            struct.pack("IIIIQQ", 32, self.space, MOST_RANGES, 0, ctypes.addressof(room), 0)
        )
        fcntl.ioctl(self.fd, IOVA_RANGES, asked, True)
        count, _, _, align = struct.unpack_from("IIQQ", asked, 8)
        return align, [(room[2 * n], room[2 * n + 1]) for n in range(count)]

    def map(self, address: int, iova: int, size: int) -> tuple[int, bool]:
        """Map and unmap again; return 0 or the errno of the map, and whether nothing is left."""
        asked = struct.pack("IIIIQQQ", 40, FIXED_READ_WRITE, self.space, 0, address, size, iova)
        try:
            fcntl.ioctl(self.fd, MAP, asked)
        except OSError as error:
            return error.errno or errno.EIO, True
        undo = bytearray(struct.pack("IIQQ", 24, self.space, iova, size))
        fcntl.ioctl(self.fd, UNMAP, undo, True)
        return 0, struct.unpack_from("Q", undo, 16)[0] == size
