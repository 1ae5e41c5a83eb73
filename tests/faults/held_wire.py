# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""A TCP connection that passes on so much as both ends need to open their devices and make their queue pairs, and holds what they
say of those until it is opened: two programs that are about to connect.

rc-verify's client says first what is wanted, a line; then each end says its queue pairs, a line each."""
import selectors
import socket
import threading


class HeldWire:
    """Between the one program that connects to `port` and the one that listens on @to_port."""

    def __init__(self, to_port):
        self.to_port = to_port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.both_are_about_to, self.is_open = threading.Event(), threading.Event()
        self.waking, self.woken = socket.socketpair()
        threading.Thread(target=self._run, daemon=True).start()

    def open(self):
        self.is_open.set()
        self.waking.send(b"x")

    def _run(self):
        with self.listener:
            client, _ = self.listener.accept()
        with client, socket.create_connection(("127.0.0.1", self.to_port)) as server:
            ends = {client: Held(server, 1), server: Held(client, 0)}
            with selectors.DefaultSelector() as wires:
                for source in (*ends, self.woken):
                    wires.register(source, selectors.EVENT_READ)
                self._pass_on(wires, ends)

    def _pass_on(self, wires, ends):
        while len(wires.get_map()) > 1:
            for key, _ in wires.select():
                source = key.fileobj
                if source not in ends:
                    source.recv(1)
                elif not ends[source].take(source):
                    wires.unregister(source)
            if all(held.has_something() for held in ends.values()):
                self.both_are_about_to.set()
            for held in ends.values():
                held.pass_on(self.is_open.is_set())


class Held:
    """What one end has said, of which @lines are passed on at once."""

    def __init__(self, sink, lines):
        self.sink, self.lines, self.data = sink, lines, b""

    def take(self, source):
        """False at its end, which the other end is told when all is passed on."""
        try:
            got = source.recv(65536)
        except OSError:
            got = b""
        self.data += got
        return got

    def has_something(self):
        """Held back."""
        return self.data.count(b"\n") > self.lines or not self.lines and b"\n" in self.data

    def pass_on(self, all_of_it):
        said = b""
        while self.lines and b"\n" in self.data:
            line, _, self.data = self.data.partition(b"\n")
            said += line + b"\n"
            self.lines -= 1
        if all_of_it:
            said, self.data = said + self.data, b""
        try:
            self.sink.sendall(said)
        except OSError:
            pass  # it has gone
