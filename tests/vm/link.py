# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""The Ethernet link between guests: vm-hub, at which each NIC of each QEMU is one connection."""
import os
import socket

from lab.deadline import wait_until


class Link:
    def __init__(self, lab, name="link"):
        self.path = lab.path(f"{name}.hub")
        self.process = lab.children.start(name, [lab.build.program("vm-hub"), self.path])
        wait_until("the hub listens", self._listens, alive=[self.process], logs=[self.process.log])

    def _listens(self):
        if not os.path.exists(self.path):
            return False
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(self.path) == 0

    def netdev(self, name):
        """As QMP's netdev_add takes it."""
        return {"type": "stream", "id": name, "server": False, "addr": {"type": "unix", "path": self.path}}
