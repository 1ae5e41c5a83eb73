# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""TCP ports of this machine, for programs that meet over them."""
import socket


def free_port():
    """A TCP port that nobody listens on now. The kernel hands ephemeral ones out in turn, so that it stays free for
    long enough."""
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
        probe.bind(("::", 0))
        return probe.getsockname()[1]


def is_listening(port):
    """Is there a listener on @port? Asked of the kernel's tables: a connection would count as the client's."""
    wanted = f":{port:04X}"
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(table) as rows:
            for row in rows:
                fields = row.split()
                if fields[1].endswith(wanted) and fields[3] == "0A":
                    return True
    return False
