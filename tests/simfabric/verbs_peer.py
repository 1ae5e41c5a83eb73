# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Ends of connections and of datagrams in a test's hands: verbs-shell processes on the fabric, a command and an answer at
a time."""
import os
import subprocess

STATUS = ["success", "loc_len", "loc_qp_op", "loc_eec_op", "loc_prot", "flush", "mw_bind", "bad_resp", "loc_access",
          "rem_inv_req", "rem_access", "rem_op", "retry_exc", "rnr_retry_exc"]
RESET, INIT, RTR, RTS, SQD, SQE, ERR = range(7)
EVENTS = {"qp_fatal": 1, "qp_req_err": 2, "qp_access_err": 3, "comm_est": 4, "sq_drained": 5, "device_fatal": 8, "port_active": 9, "port_err": 10,
          "lid_change": 11, "pkey_change": 12, "sm_change": 13, "srq_limit": 15, "last_wqe": 16, "client_reregister": 17, "gid_change": 18}
EIO = 5
END_MS = 20000


class VerbsError(Exception):
    def __init__(self, line, number):
        super().__init__(f"{line}: {os.strerror(number)}")
        self.errno = number


class Peer:
    """One process. Fields of an answer come as a dictionary; numbers are numbers."""

    def __init__(self, fabric, node=None, vm=None, preload=None, env=None, program="verbs-shell"):
        argv = [*fabric.place(node, vm), *(["env", f"LD_PRELOAD={preload}"] if preload else []),
                os.path.join(fabric.build, "bin", program)]
        self.child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
                                      env={**os.environ, **(env or {})})
        fabric.children.append(self.child)
        self.qps = []

    def put(self, *words, **options):
        """Send a command without waiting for its answer."""
        line = " ".join([*map(str, words), *(f"{key}={value}" for key, value in options.items())])
        self.child.stdin.write(line + "\n")
        self.last = line

    def get(self):
        answer = self.child.stdout.readline().split()
        if not answer:
            raise EOFError(f"{self.last}: the process has ended with {self.child.wait(10)}")
        if answer[0] != "ok":
            raise VerbsError(self.last, int(answer[1]))
        fields = dict(word.split("=", 1) if "=" in word else (word, True) for word in answer[1:])
        return {key: int(value) if value is not True and value.isdigit() else value for key, value in fields.items()}

    def do(self, *words, **options):
        self.put(*words, **options)
        return self.get()

    def error(self, *words, **options):
        """The errno of a command that must fail; 0 if it did not."""
        try:
            self.do(*words, **options)
        except VerbsError as error:
            return error.errno
        return 0

    def open(self, *how):
        self.__dict__.update(self.do("open", *how))
        return self

    def qp(self, *kind, **caps):
        self.qps.append(self.do("qp", *kind, **caps)["qpn"])
        return len(self.qps) - 1

    def target(self, offset=0):
        """The keywords of a request to this end's memory."""
        return {"raddr": self.address + offset, "rkey": self.rkey}

    def poll(self, which, ms=END_MS):
        """(wr_id, status) of the next completion; None: none came."""
        answer = self.do("poll", which, ms)
        return None if "none" in answer else (answer["wr_id"], STATUS[answer["status"]])

    def hear(self, ms=END_MS):
        """A datagram that was received, by the fields of its completion; None: none came."""
        answer = self.do("hear", ms)
        if "none" in answer:
            return None
        assert answer["status"] == 0, STATUS[answer["status"]]
        return answer

    def events(self, ms=0):
        """All asynchronous events that are there, the first of them within @ms."""
        types = []
        while "none" not in (answer := self.do("event", ms)):
            types.append(answer["type"])
            ms = 0
        return types

    def kill(self):
        self.child.kill()
        self.child.wait()

    def end(self):
        """Close everything; the exit status."""
        self.do("close")
        self.child.stdin.close()
        return self.child.wait(10)


def connect(a, b, a_qp=0, b_qp=0, psn=1000, **options):
    a.do("connect", a_qp, b.lid, b.qps[b_qp], psn, psn + 500000, **options)
    b.do("connect", b_qp, a.lid, a.qps[a_qp], psn + 500000, psn, **options)


def pair(fabric, place_a, place_b, kind=(), **options):
    """Two peers with one connected QP each; a place is {"node": name} or {"vm": name}."""
    ends = Peer(fabric, **place_a).open(), Peer(fabric, **place_b).open()
    for end in ends:
        end.qp(*kind)
    connect(*ends, **options)
    return ends
