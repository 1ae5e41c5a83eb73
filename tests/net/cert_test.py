#!/usr/bin/env python3
"""tether cert: what it makes, what it writes down, and what it refuses, with nothing changed then."""
import json
import os
import stat
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from agent_harness import BUILD, run_tests  # noqa: E402

TETHER = os.path.join(BUILD, "bin", "tether")


class Cert:
    def __enter__(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="tether-cert.")
        self.dir = os.path.join(self.temporary.name, "ca")
        return self

    def __exit__(self, *error):
        self.temporary.cleanup()

    def run(self, command, *words, status=0):
        done = subprocess.run([TETHER, "cert", command, self.dir, *words], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
        assert done.returncode == status, f"{command} {words}: {done.returncode}: {done.stderr}"
        return done.stderr if status else done.stdout

    def refuses(self, text, command, *words, status=1):
        before = self.files()
        said = self.run(command, *words, status=status)
        assert text in said, said
        assert self.files() == before, f"{command} {words} has changed something"

    def files(self):
        if not os.path.isdir(self.dir):
            return {}
        return {name: open(os.path.join(self.dir, name), "rb").read() for name in os.listdir(self.dir)}

    def list(self):
        return json.loads(self.run("list", "--json"))["certificates"]

    def states(self):
        return [(row["name"], row["state"]) for row in self.list()]


def one_command_makes_all_that_a_first_try_needs():
    with Cert() as cert:
        cert.run("ca", "--issue", "sm/smd", "--issue", "host/hyp1")
        files = set(cert.files())
        assert files == {"ca.crt", "ca.key", "ca.crl", "issued", "sm-smd.crt", "sm-smd.key", "host-hyp1.crt", "host-hyp1.key"}, files
        assert cert.states() == [("sm/smd", "good"), ("host/hyp1", "good")]


def as_many_are_issued_as_are_named():
    with Cert() as cert:
        names = [f"host/hyp{number}" for number in range(300)]
        cert.run("ca", *(word for name in names for word in ("--issue", name)))
        assert cert.states() == [(name, "good") for name in names]


def nobody_else_reads_a_key():
    with Cert() as cert:
        os.umask(0)
        cert.run("ca", "--issue", "host/hyp1")
        for name in cert.files():
            mode = stat.S_IMODE(os.stat(os.path.join(cert.dir, name)).st_mode)
            assert mode == (0o600 if name.endswith(".key") else 0o644), (name, oct(mode))


def a_second_certificate_leaves_the_first_good():
    with Cert() as cert:
        cert.run("ca", "--issue", "host/hyp1")
        first = cert.files()
        cert.run("issue", "host/hyp1")
        assert cert.files()["host-hyp1.crt"] != first["host-hyp1.crt"]
        assert cert.files()["host-hyp1.key"] != first["host-hyp1.key"]
        serials = [row["serial"] for row in cert.list()]
        assert len(set(serials)) == 2
        cert.run("revoke", serials[0])
        assert cert.states() == [("host/hyp1", "revoked"), ("host/hyp1", "good")]


def revoking_a_name_revokes_all_of_it():
    with Cert() as cert:
        cert.run("ca", "--issue", "host/hyp1", "--issue", "host/hyp2")
        cert.run("issue", "host/hyp1")
        crl = cert.files()["ca.crl"]
        cert.run("revoke", "host/hyp1")
        assert cert.states() == [("host/hyp1", "revoked"), ("host/hyp2", "good"), ("host/hyp1", "revoked")]
        assert cert.files()["ca.crl"] != crl
        cert.refuses("no certificate of host/hyp1 that is not revoked already", "revoke", "host/hyp1")
        os.unlink(os.path.join(cert.dir, "ca.crl"))
        cert.run("crl")
        assert "ca.crl" in cert.files()


def what_has_expired_is_listed_so():
    with Cert() as cert:
        cert.run("ca")
        cert.run("issue", "host/hyp1", "--days", "0")
        assert cert.states() == [("host/hyp1", "expired")]
        assert "host/hyp1                expired " in cert.run("list")


def what_makes_no_sense_is_refused():
    with Cert() as cert:
        cert.refuses("No such file or directory", "issue", "host/hyp1")
        cert.run("ca")
        cert.refuses("there is a CA already", "ca")
        cert.refuses("is not ROLE/NAME", "issue", "guest/vm1", status=2)
        cert.refuses("is not ROLE/NAME", "issue", "host/../x", status=2)
        cert.refuses("is not ROLE/NAME", "issue", "host/" + 65 * "x", status=2)
        cert.refuses("is not a number up to", "issue", "host/hyp1", "--days", "-1", status=2)
        cert.refuses("is not a number up to", "issue", "host/hyp1", "--days", "1y", status=2)
        cert.refuses("no certificate of host/hyp9", "revoke", "host/hyp9")
        cert.refuses("cert ca DIR, issue DIR", "issue", status=2)
        cert.refuses("cert ca DIR, issue DIR", "renew", status=2)


def what_is_damaged_is_named():
    with Cert() as cert:
        cert.run("ca", "--issue", "host/hyp1")
        with open(os.path.join(cert.dir, "issued"), "a") as file:
            file.write("nonsense\n")
        cert.refuses("issued:2: not SERIAL UNTIL REVOKED ROLE/NAME", "issue", "host/hyp2")
        with open(os.path.join(cert.dir, "ca.key"), "w"):
            pass
        cert.refuses("ca.key: Invalid argument", "list")


TESTS = [one_command_makes_all_that_a_first_try_needs, as_many_are_issued_as_are_named, nobody_else_reads_a_key,
         a_second_certificate_leaves_the_first_good,
         revoking_a_name_revokes_all_of_it, what_has_expired_is_listed_so, what_makes_no_sense_is_refused, what_is_damaged_is_named]

if __name__ == "__main__":
    sys.exit(run_tests(TESTS))
