# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""A link that can be cut: a unix socket whose connections are passed on to another one. While it is cut nothing passes either way and
nobody is told, as when a cable is gone: what is written is swallowed, who connects is accepted and hears nothing. Mended, what stood
meanwhile is closed, and new connections pass."""
import os
import selectors
import socket
import threading


class CutWire:
    """Listens at @path at once; each connection there is one to @to."""

    def __init__(self, path, to):
        self.to = to
        self.is_cut = False
        self.wires = selectors.DefaultSelector()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(16)
        self.wake, self.woken = socket.socketpair()
        for reader in (self.listener, self.woken):
            self.wires.register(reader, selectors.EVENT_READ, None)
        self.thread = threading.Thread(target=self.pass_on, daemon=True)
        self.thread.start()

    def cut(self):
        self.is_cut = True

    def mend(self):
        self.is_cut = False
        self.wake.send(b"m")

    def close(self):
        self.wake.send(b"c")
        self.thread.join()

    # The thread's.

    def pass_on(self):
        while True:
            for key, _ in self.wires.select():
                if key.fileobj is self.woken:
                    self.drop_all()
                    if self.woken.recv(1) == b"c":
                        self.listener.close()
                        return
                elif key.fileobj is self.listener:
                    self.accept()
                elif key.fileobj.fileno() >= 0:
                    self.pump(key.fileobj, key.data)

    def accept(self):
        here, _ = self.listener.accept()
        there = socket.socket(socket.AF_UNIX)
        try:
            if not self.is_cut:
                there.connect(self.to)
        except OSError:
            here.close()
            there.close()
            return
        self.wires.register(here, selectors.EVENT_READ, there)
        if not self.is_cut:
            self.wires.register(there, selectors.EVENT_READ, here)

    def pump(self, source, sink):
        try:
            data = source.recv(65536)
            if data and not self.is_cut:
                sink.sendall(data)
        except OSError:
            data = b""
        # Whoever is on the other side of a cable that is cut does not hear that this one has gone.
        if not data and not self.is_cut:
            self.drop(source)
            self.drop(sink)
        elif not data:
            self.wires.unregister(source)

    def drop(self, wire):
        if wire in {key.fileobj for key in self.wires.get_map().values()}:
            self.wires.unregister(wire)
        wire.close()

    def drop_all(self):
        for key in list(self.wires.get_map().values()):
            if key.data is not None:
                self.drop(key.fileobj)
                key.data.close()


def place_of(directory, name):
    return os.path.join(directory, f"wire-{name}.sock")
