# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""An initramfs as the kernel unpacks it (newc, Documentation/driver-api/early-userspace/buffer-format.rst)."""
import os
import stat


class Archive:
    """Members are added in any order; folders that they need come by themselves."""

    def __init__(self, out):
        self.out = out
        self.count = 0
        self.folders = set()

    def _member(self, name, mode, data, device=(0, 0)):
        self.count += 1
        name = name.lstrip("/").encode() + b"\0"
        links = 1
        fields = (self.count, mode, 0, 0, links, 0, len(data), 0, 0, *device, len(name), 0)
        self.out.write(b"070701" + b"".join(b"%08X" % field for field in fields) + name)
        self.out.write(b"\0" * (-(110 + len(name)) % 4) + data + b"\0" * (-len(data) % 4))

    def folder(self, name):
        name = name.rstrip("/")
        if name and name not in self.folders:
            self.folder(os.path.dirname(name))
            self.folders.add(name)
            self._member(name, stat.S_IFDIR | 0o755, b"")

    def link(self, name, target):
        self.folder(os.path.dirname(name))
        self._member(name, stat.S_IFLNK | 0o777, target.encode())

    def file(self, name, data, mode=0o755):
        self.folder(os.path.dirname(name))
        self._member(name, stat.S_IFREG | mode, data)

    def character_device(self, name, major, minor):
        self.folder(os.path.dirname(name))
        self._member(name, stat.S_IFCHR | 0o600, b"", (major, minor))

    def close(self):
        self._member("TRAILER!!!", 0, b"")
