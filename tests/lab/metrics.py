# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""What a daemon tells Prometheus, read as strictly as Prometheus does."""
import re
import socket

PATIENCE_S = 60


class Metrics:
    """What a daemon tells Prometheus at a port of this machine, or at a unix socket."""

    def __init__(self, address):
        self.address = address

    def connect(self):
        if self.address.startswith("unix:"):
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(self.address[len("unix:"):])
        else:
            host, port = self.address.rsplit(":", 1)
            sock = socket.create_connection((host.strip("[]"), int(port)))
        sock.settimeout(PATIENCE_S)
        return sock

    def ask(self, request="GET /metrics"):
        """(status, body)"""
        with self.connect() as sock:
            sock.sendall(f"{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            answer = b""
            while more := sock.recv(65536):
                answer += more
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), body.decode()

    def values(self):
        """{name, with its labels: value}; each family once, each sample of the family that was announced last."""
        status, body = self.ask()
        assert status == 200 and body.endswith("\n"), (status, body)
        found, families = {}, []
        for line in body.splitlines():
            if line.startswith("# TYPE "):
                families.append(line.split()[2])
                assert line.split()[3] == ("counter" if families[-1].endswith("_total") else "gauge"), line
            elif not line.startswith("#"):
                assert re.fullmatch(r'[a-z_]+({[a-z]+="([^"\\\\]|\\\\.)*"})? [0-9]+', line), line
                name, value = line.rsplit(" ", 1)
                assert name.split("{")[0] == families[-1], (line, families[-1])
                found[name] = int(value)
        assert len(set(families)) == len(families), families
        return found
