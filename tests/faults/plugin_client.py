#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""usage: plugin_client.py SOCKET OP [MEMBER=VALUE]...

One request to libosmtether.so (sm-side/DESIGN.md "Protocol with the plugin"); prints the answer, exit status 1 where it
is refused. A VALUE of digits is sent as a number. In tests: `with PluginClient(path) as sm: sm.ask("status")`."""
import json
import os
import select
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.wire import SCHEMA  # noqa: E402

ANSWER_S = 30
OLDEST = SCHEMA.enums["Protocol"]["PROTOCOL_OLDEST"]


class Refused(Exception):
    def __init__(self, answer):
        super().__init__(f"{answer['reason']}: {answer['text']}")
        self.reason = answer["reason"]


class PluginClient:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(ANSWER_S)
        self.socket.connect(path)
        self.lines = self.socket.makefile("r")
        self.sent = 0

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.close()

    def close(self):
        self.lines.close()
        self.socket.close()

    def send(self, op, **members):
        self.sent += 1
        self.socket.sendall((json.dumps({"id": self.sent, "op": op, "protocol": OLDEST, **members}) + "\n").encode())
        return self.sent

    def receive(self):
        line = self.lines.readline()
        if not line:
            raise ConnectionError("the plugin has closed the connection")
        return json.loads(line)

    def has_answer(self):
        """Something to receive, were it that the connection has ended."""
        return bool(select.select([self.socket], [], [], 0)[0])

    def request(self, op, **members):
        number = self.send(op, **members)
        answer = self.receive()
        assert answer["id"] == number, f"answer {answer['id']} to request {number}"
        return answer

    def ask(self, op, **members):
        """The answer; Refused where it is not ok."""
        answer = self.request(op, **members)
        if not answer["ok"]:
            raise Refused(answer)
        return answer


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    members = dict(argument.split("=", 1) for argument in sys.argv[3:])
    members = {name: int(value) if value.isdigit() else value for name, value in members.items()}
    with PluginClient(sys.argv[1]) as sm:
        answer = sm.request(sys.argv[2], **members)
    print(json.dumps(answer, indent=1))
    sys.exit(not answer["ok"])


if __name__ == "__main__":
    main()
