# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""A virtio-serial port as QEMU has it, with a terminal for the device in the VM."""
import os
import pty
import select
import socket
import threading
import tty


class Port:
    """`device` is the VM's end. On the servers each of `paths` is a socket where an agent may connect; the one that came last
    has the other end. What is under way in the port stays there, whoever comes and goes at either end."""

    def __init__(self, device, paths):
        self.device = device
        self.listeners = [self._listen(path) for path in paths]
        self.master, self.slave = pty.openpty()  # the slave is kept open: the line is not hung up when an agent ends
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        os.symlink(os.ttyname(self.slave), device)
        self.wake, self.ended = socket.socketpair()
        self.host = None
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    @staticmethod
    def _listen(path):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        return listener

    def close(self):
        self.wake.close()
        self.thread.join()
        for listener in self.listeners:
            os.unlink(listener.getsockname())
            listener.close()
        os.unlink(self.device)
        os.close(self.slave)
        os.close(self.master)

    def _drop(self):
        if self.host:
            self.host.close()
        self.host = None

    def _down(self):
        """False: the port has been closed meanwhile. The VM may not read."""
        data = self.host.recv(2048)
        if not data:
            self._drop()
        while data:
            if self.ended in select.select([self.ended], [self.master], [])[0]:
                return False
            data = data[os.write(self.master, data):]
        return True

    def _turn(self):
        ends = [self.host, self.master] if self.host else []
        ready = select.select([self.ended, *self.listeners, *ends], [], [])[0]
        if self.ended in ready:
            return False
        for listener in self.listeners:
            if listener in ready:
                self._drop()
                self.host = listener.accept()[0]
                return True
        try:
            if self.master in ready:
                self.host.sendall(os.read(self.master, 4096))
            return self.host not in ready or self._down()
        except ConnectionError:
            self._drop()
        return True

    def _serve(self):
        while self._turn():
            pass
        self._drop()
