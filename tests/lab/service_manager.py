# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""The service manager, as far as a daemon tells it things (sd_notify)."""
import socket

PATIENCE_S = 60


class ServiceManager:
    """At @path, which the daemon has in NOTIFY_SOCKET."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.socket.settimeout(PATIENCE_S)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.socket.close()

    def told(self, word):
        """The next thing that begins with @word."""
        while True:
            said = self.socket.recv(1024).decode()
            if said.startswith(word):
                return said

    def said(self):
        """All that lies there."""
        words = []
        self.socket.setblocking(False)
        try:
            while True:
                words.append(self.socket.recv(1024).decode())
        except BlockingIOError:
            return words
        finally:
            self.socket.settimeout(PATIENCE_S)
