# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""tether-smd's HTTP/JSON API on its unix socket, without the CLI in between."""
import http.client
import json
import socket


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def request(socket_path, method, path, body=None, timeout=5):
    """(status, decoded body). OSError when nobody answers."""
    connection = UnixConnection(socket_path, timeout)
    try:
        connection.request(method, path, json.dumps(body) if body is not None else None,
                           {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
    except http.client.HTTPException as error:
        raise OSError(f"{method} {path}: {error!r}") from error
    finally:
        connection.close()
    return answer.status, json.loads(text) if text else None
