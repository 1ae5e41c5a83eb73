#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""usage: deaf_wire.py LISTEN_PORT TO_PORT

Passes bytes between the one program that connects to LISTEN_PORT and the one that listens on TO_PORT, and tells neither
that the other has gone: what a program learns of the other's death it then learns from its queue pairs."""
import selectors
import socket
import sys


def heard_from(source):
    """b"" when it has gone."""
    try:
        return source.recv(65536)
    except OSError:
        return b""


def pass_on(data, sink):
    try:
        sink.sendall(data)
    except OSError:
        pass  # it has gone


def pump(one, other):
    wires = selectors.DefaultSelector()
    wires.register(one, selectors.EVENT_READ, other)
    wires.register(other, selectors.EVENT_READ, one)
    while wires.get_map():
        for key, _ in wires.select():
            data = heard_from(key.fileobj)
            if data:
                pass_on(data, key.data)
            else:
                wires.unregister(key.fileobj)


def main():
    listen_port, to_port = map(int, sys.argv[1:])
    with socket.create_server(("127.0.0.1", listen_port)) as listener:
        one, _ = listener.accept()
        with one, socket.create_connection(("127.0.0.1", to_port)) as other:
            pump(one, other)


main()
