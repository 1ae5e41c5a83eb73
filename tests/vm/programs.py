# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Unmodified programs in pairs, a server in one guest and a client in another, each by @launcher (such as `tether run --`)."""
from vm.guest import CommandFailed

LAUNCHER = "TETHER_LOG=/tmp/shim.log tether run --"
PERFTEST_PORT = PINGPONG_PORT = 18515
RC_VERIFY_PORT, UD_VERIFY_PORT, WINDOW_VERIFY_PORT = 18600, 18601, 18602
RSOCKETS = "LD_PRELOAD=/usr/lib/x86_64-linux-gnu/rsocket/librspreload.so"
# Somebody listens by rdma_cm.
CM_LISTENS = "until rdma resource show cm_id | grep -q LISTEN; do sleep 0.02; done"


class Pair:
    def __init__(self, server, client, address):
        """@server, @client: guests; @address: of the server."""
        self.server, self.client, self.address = server, client, address

    def run(self, server_command, client_command, wait):
        """@wait(command) until the server can be asked. What both have said; CommandFailed unless both end with 0."""
        served = self.server.start(server_command)
        wait(served)
        said = self.client.run(client_command)
        if self.server.wait(served):
            raise CommandFailed(self.server, served)
        return served.output(), said

    def by_port(self, port):
        return lambda command: self.server.wait_listening(port, command)

    def by_cm(self, unused_command):
        self.server.run(CM_LISTENS)

    def perftest(self, launcher, program, *arguments):
        """GID index 1 is the IPv4 address's."""
        command = " ".join([launcher, program, "-d", self.device(), "-x", "1", "-F", *arguments])
        return self.run(command, f"{command} {self.address}", self.by_port(PERFTEST_PORT))

    def pingpong(self, launcher, program, *arguments):
        command = " ".join([launcher, program, "-d", self.device(), "-g", "1", *arguments])
        return self.run(command, f"{command} {self.address}", self.by_port(PINGPONG_PORT))

    def device(self):
        """Of both guests, when there is but one; its name is the guest's own."""
        return "$(ls /sys/class/infiniband)"

    def verify(self, launcher, program, port, server_arguments, client_arguments):
        """rc-verify, ud-verify, window-verify: each ends with 0 only if it has found nothing."""
        return self.run(f"{launcher} {program} {server_arguments}", f"{launcher} {program} {client_arguments} {self.address}",
                        self.by_port(port))

    def by_rdma_cm(self, server_command, client_command):
        return self.run(server_command, client_command, self.by_cm)
