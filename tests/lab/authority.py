# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""A private CA that `tether cert` makes, for systems whose links are over TLS."""
import os
import ssl
import subprocess


class Authority:
    def __init__(self, tether, directory, *issued):
        self.tether, self.directory = tether, directory
        self.cert("ca", *(word for who in issued for word in ("--issue", who)))

    def cert(self, command, *words):
        done = subprocess.run([self.tether, "cert", command, self.directory, *words], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise AssertionError(f"tether cert {command}: {done.stderr}")
        return done.stdout

    def issue(self, who, *options):
        self.cert("issue", who, *options)

    def path(self, name):
        return os.path.join(self.directory, name)

    def settings(self, who, ca=None):
        """What tls_ settings a program has that is @who; @ca: whose certificates it takes."""
        stem = self.path(who.replace("/", "-"))
        return {"tls_ca": (ca or self).path("ca.crt"), "tls_certificate": stem + ".crt", "tls_key": stem + ".key"}

    def context(self, who=None):
        """Of somebody who takes these certificates, and shows @who's."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(self.path("ca.crt"))
        if who:
            files = self.settings(who)
            context.load_cert_chain(files["tls_certificate"], files["tls_key"])
        return context
