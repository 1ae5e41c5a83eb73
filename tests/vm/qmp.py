# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""QEMU's monitor: one request at a time, and the events that came meanwhile."""
import json
import select
import socket
import time

from lab.deadline import Late, wait_until


class QmpError(Exception):
    """What QEMU refused; `answer` is its `error` object."""

    def __init__(self, command, answer):
        super().__init__(f"{command}: {answer.get('desc')}")
        self.answer = answer


class Qmp:
    def __init__(self, path, alive=()):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX)
        wait_until(f"QEMU listens at {path}", self._connect, alive=alive)
        self.buffer = b""
        self.events = []
        self._message(60)
        self.execute("qmp_capabilities")

    def _connect(self):
        try:
            self.socket.connect(self.path)
            return True
        except OSError:
            return False

    def close(self):
        self.socket.close()

    def _message(self, seconds):
        end = time.monotonic() + seconds
        while b"\n" not in self.buffer:
            if not select.select([self.socket], [], [], max(0, end - time.monotonic()))[0]:
                raise Late(f"{self.path}: nothing within {seconds} s")
            data = self.socket.recv(65536)
            if not data:
                raise EOFError(f"{self.path}: QEMU has ended")
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def execute(self, command, seconds=60, **arguments):
        """What it returns. Names with "_" for "-" in @arguments are not changed: pass such by **{"max-bandwidth": 1}."""
        request = {"execute": command, "arguments": arguments}
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        while True:
            message = self._message(seconds)
            if "event" in message:
                self.events.append(message)
            elif "error" in message:
                raise QmpError(command, message["error"])
            else:
                return message["return"]

    def forget_events(self):
        self.has_event("")
        self.events.clear()

    def has_event(self, name, **data):
        """Whether it has come by now; it stays."""
        while select.select([self.socket], [], [], 0)[0] or b"\n" in self.buffer:
            self.events.append(self._message(1))
        return any(self._is(event, name, data) for event in self.events)

    @staticmethod
    def _is(event, name, data):
        return event["event"] == name and all(event.get("data", {}).get(key) == value for key, value in data.items())

    def wait_event(self, name, seconds=60, **data):
        """The first event @name with @data in it, taken from those that came."""
        end = time.monotonic() + seconds
        while True:
            for event in self.events:
                if self._is(event, name, data):
                    self.events.remove(event)
                    return event
            self.events.append(self._message(max(0.01, end - time.monotonic())))
