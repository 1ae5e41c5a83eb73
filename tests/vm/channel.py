# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Commands in a guest, by vm-runner there: what they say, and how they end. The socket is QEMU's end of a virtio-serial port; when
the guest moves the channel goes on at another socket."""
import socket
import threading

from lab.deadline import wait_until


class Command:
    """One that was started; use Guest.wait and the like."""

    def __init__(self, channel, number, text):
        self.channel, self.number, self.text = channel, number, text
        self.said = b""
        self.status = None

    def output(self):
        return self.said.decode(errors="replace")

    def signal(self, number):
        """To it and all that it has started."""
        self.channel.send(f"signal {self.number} {int(number)}\n".encode())


class Channel:
    def __init__(self):
        self.commands = {}
        self.changed = threading.Condition()
        self.buffer = b""
        self.socket = None
        self.thread = None

    def connect(self, path, alive):
        """To where the guest is, or will be. What the last socket still has is taken first."""
        fresh = socket.socket(socket.AF_UNIX)
        wait_until(f"QEMU listens at {path}", lambda: fresh.connect_ex(path) == 0, alive=alive)
        return fresh

    def use(self, fresh):
        """From now on; the end of the last one has been seen, or there was none."""
        if self.thread:
            self.thread.join()
        self.socket = fresh
        self.thread = threading.Thread(target=self._listen, args=(fresh,), daemon=True)
        self.thread.start()

    def start(self, text):
        with self.changed:
            command = Command(self, len(self.commands) + 1, text)
            self.commands[command.number] = command
        data = text.encode()
        self.send(f"start {command.number} {len(data)}\n".encode() + data)
        return command

    def send(self, data):
        self.socket.sendall(data)

    def _listen(self, source):
        with source:
            while True:
                try:
                    data = source.recv(65536)
                except OSError:
                    return
                if not data:
                    return
                with self.changed:
                    self.buffer += data
                    while self._take_frame():
                        pass
                    self.changed.notify_all()

    def _take_frame(self):
        line, found, rest = self.buffer.partition(b"\n")
        if not found:
            return False
        word, number, value = line.split()
        command = self.commands.get(int(number))
        if word == b"said":
            if len(rest) < int(value):
                return False
            if command:
                command.said += rest[:int(value)]
            rest = rest[int(value):]
        elif command:
            command.status = int(value)
        self.buffer = rest
        return True
