#!/usr/bin/env python3
"""Links over TLS between tether-smd and agents: whoever has the right certificate comes in, whoever has not is refused, and
the log says why."""
import os
import signal
import socket
import ssl
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from agent_harness import AGENT, BUILD, PATIENCE_S, VERSION, run_tests  # noqa: E402
from faults import wire  # noqa: E402
from lab.authority import Authority  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from lab.metrics import Metrics  # noqa: E402
from tls_harness import TETHER, Site, Speaker  # noqa: E402

SMD = os.path.join(BUILD, "bin", "tether-smd")
HANDSHAKES_MOST = 256  # under way at a time
SILENT = 300


def agents_with_certificates_are_here():
    with Site("host/hyp1", "host/hyp2") as site:
        site.host("hyp1")
        site.host("hyp2")
        site.smd.hosts_here(2)
        status, answer = site.smd.get("/v1/hypervisors")
        assert status == 200 and {host["name"] for host in answer["hypervisors"]} == {"hyp1", "hyp2"}, answer


def nobody_is_here(site):
    assert site.smd.get("/v1/hypervisors")[1]["hypervisors"] == []


def an_expired_certificate_is_refused():
    with Site() as site:
        site.ca.issue("host/hyp1", "--days", "0")
        host = site.host("hyp1")
        site.says("is refused: its certificate has expired (host/hyp1)")
        host.says("the root is away: the other end refuses: certificate expired")
        nobody_is_here(site)


def a_revoked_certificate_is_refused():
    with Site("host/hyp1", crl=True) as site:
        site.ca.cert("revoke", "host/hyp1")
        site.reload()
        host = site.host("hyp1")
        site.says("is refused: its certificate is revoked (host/hyp1)")
        host.says("certificate revoked")


def a_certificate_of_another_ca_is_refused():
    """tether-smd refuses it though the agent itself would take tether-smd's."""
    with Site() as site:
        other = Authority(TETHER, os.path.join(site.dir, "other"), "host/hyp1")
        host = site.host("hyp1", authority=other, ca=site.ca)
        site.says("is refused: its certificate is of another CA (host/hyp1)")
        host.says("unknown CA")


def a_root_of_another_ca_is_refused():
    with Site("host/hyp1") as site:
        other = Authority(TETHER, os.path.join(site.dir, "other"))
        host = site.host("hyp1", ca=other)
        host.says("its certificate is of another CA (sm/smd)")
        site.says("is refused: the other end refuses: unknown CA")


def a_wrong_host_is_refused():
    """The right CA and the right role, but it is not the host that it says."""
    with Site("host/hyp1") as site:
        site.host("hyp1")
        site.smd.hosts_here(1)
        with Speaker(site, "host/hyp1") as speaker:
            speaker.hello("hyp2")
            site.says("is refused: foreign-name: its certificate is of another name")
            speaker.is_closed()
        assert [host["name"] for host in site.smd.get("/v1/hypervisors")[1]["hypervisors"]] == ["hyp1"]


def a_wrong_role_is_refused():
    with Site("sm/other") as site:
        with Speaker(site, "sm/other") as speaker:
            speaker.is_closed()
        site.says("is refused: its certificate is of a role that has no business here (sm/other)")


def who_shows_no_certificate_is_refused():
    with Site() as site:
        with Speaker(site) as speaker:
            speaker.is_closed()
        site.says("is refused: shows no certificate")


def an_older_tls_is_refused():
    with Site("host/hyp1") as site:
        try:
            Speaker(site, "host/hyp1", ssl.TLSVersion.TLSv1_2)
            raise AssertionError("TLS 1.2 was taken")
        except ssl.SSLError as error:
            assert "PROTOCOL_VERSION" in str(error).upper().replace(" ", "_"), error
        site.says("is refused: speaks an older TLS than 1.3")


def plain_text_is_refused():
    with Site() as site:
        with socket.create_connection(("127.0.0.1", site.port), PATIENCE_S) as link:
            wire.send(link, "hello", {"version": VERSION, "role": "ROLE_HOST", "name": "hyp1"})
            site.says("is refused: plain text, not TLS")
        nobody_is_here(site)


def a_certificate_of_another_host_is_no_agents():
    """The agent says so itself, and does not begin."""
    with Site("host/hyp2") as site:
        host = site.host("hyp1", who="host/hyp2")
        host.says("it is of host/hyp2, this is host/hyp1")
        assert host.process.wait(PATIENCE_S) == 1
        site.hosts.remove(host)


def check_config_tries_the_certificates():
    with Site("host/hyp1", "host/hyp2") as site:
        host = site.host("hyp1")
        other = site.ca.settings("host/hyp2")
        for changed, text in (({}, None), ({"tls_key": other["tls_key"]}, "host-hyp2.key: no key of that certificate"),
                              (other, "host-hyp2.crt: it is of host/hyp2, this is host/hyp1"),
                              ({"tls_ca": other["tls_key"]}, "host-hyp2.key: no certificate of a CA"),
                              ({"tls_crl": "/dev/null"}, "/dev/null: no list of revoked certificates"),
                              ({"tls_certificate": "/no/file"}, "/no/file: no certificate: No such file or directory")):
            checked(text, AGENT, host.conf({**host.settings, **changed}), status=2)
        smd = {"listen": "tls:127.0.0.1:0", "api": f"{host.dir}/api.sock", "journal": f"{host.dir}/journal", "fabric": "none",
               **site.ca.settings("sm/smd")}
        for changed, text in (({}, None), (other, "host-hyp2.crt: it is of host/hyp2, tether-smd is sm/NAME")):
            checked(text, SMD, host.conf({**smd, **changed}), status=1)


def checked(text, program, conf, status):
    done = subprocess.run([program, "--config", conf, "--check-config"], stderr=subprocess.PIPE, text=True)
    assert done.returncode == (status if text else 0), (text, done)
    assert (text or "") in done.stderr, (text, done.stderr)


def what_expires_soon_is_said():
    with Site() as site:
        site.ca.issue("host/hyp1", "--days", "10")
        host = site.host("hyp1")
        site.smd.hosts_here(1)
        host.says("host-hyp1.crt expires within 10 days")
        assert "expires within" not in site.smd.log()


def who_is_revoked_is_cut_off_at_sighup():
    with Site("host/hyp1", "host/hyp2", crl=True) as site:
        site.host("hyp1")
        site.host("hyp2")
        site.smd.hosts_here(2)
        site.ca.cert("revoke", "host/hyp1")
        site.reload()
        site.says("host hyp1 is away: its certificate is revoked (host/hyp1)")
        site.says("is refused: its certificate is revoked (host/hyp1)")  # it comes again
        site.smd.hosts_here(1)
        assert "host hyp2 is away" not in site.smd.log()


def an_agent_leaves_a_root_that_is_revoked_at_sighup():
    with Site("host/hyp1") as site:
        host = site.host("hyp1", tls_crl=site.ca.path("ca.crl"))
        site.smd.hosts_here(1)
        site.ca.cert("revoke", "sm/smd")
        host.process.send_signal(signal.SIGHUP)
        host.says("the root is away: its certificate is revoked (sm/smd)")
        host.says(f"no link to tls:{site.place}: its certificate is revoked (sm/smd)")


def context_of(site, who):
    """@who of the site's CA as the end that accepts."""
    files = site.ca.settings(who)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files["tls_certificate"], files["tls_key"])
    return context


def a_root_of_an_older_tls_is_left():
    with Site("host/hyp1") as site:
        context = context_of(site, "sm/smd")
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with socket.create_server(("127.0.0.1", 0)) as listener:
            host = site.host("hyp1", root=f"tls:127.0.0.1:{listener.getsockname()[1]}")
            link, _ = listener.accept()
            try:
                context.wrap_socket(link, server_side=True)
                raise AssertionError("TLS 1.2 was spoken")
            except ssl.SSLError:
                link.close()
            host.says("the other end refuses: protocol version")


def leaves_a_parent_that_is(who, site, name, why, **settings):
    """@who poses as the parent of the host @name."""
    context = context_of(site, who)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host = site.host(name, root=f"tls:127.0.0.1:{listener.getsockname()[1]}", **settings)
        link, _ = listener.accept()
        try:
            with context.wrap_socket(link, server_side=True) as link:
                assert link.recv(4096) == b"", "it was told something"
        except ssl.SSLError as error:
            assert "BAD_CERTIFICATE" in str(error), error
        host.says(f"its certificate is of {why} ({who})")


def a_parent_of_a_wrong_role_is_left():
    """Another host of the same CA poses as tether-smd."""
    with Site("host/hyp1", "host/other") as site:
        leaves_a_parent_that_is("host/other", site, "hyp1", "a role that has no business here")


def an_agent_takes_the_parent_alone_that_it_is_told():
    """An agent between of the same CA may be another's parent, and poses as its own; sessions are not resumed with it either."""
    with Site("host/hyp1", "host/hyp2", "relay/rack9") as site:
        site.host("hyp1", parent_name="sm/smd")
        site.smd.hosts_here(1)
        leaves_a_parent_that_is("relay/rack9", site, "hyp2", "somebody else than parent_name says", parent_name="sm/smd")


def a_root_of_plain_text_is_left():
    with Site("host/hyp1") as site, socket.create_server(("127.0.0.1", 0)) as listener:
        host = site.host("hyp1", root=f"tls:127.0.0.1:{listener.getsockname()[1]}")
        link, _ = listener.accept()
        wire.send(link, "hello_answer", {"outcome": "OUTCOME_DONE", "epoch": 1, "name": "root"})
        host.says("plain text, not TLS")
        link.close()


def who_connects_and_says_nothing_keeps_nobody_out():
    with Site("host/hyp1", metrics="unix:metrics.sock") as site:
        silent = [socket.create_connection(("127.0.0.1", site.port), PATIENCE_S) for _ in range(SILENT)]
        site.host("hyp1")
        site.smd.hosts_here(1)
        # The agent has made room for itself, as the last of those had; the others have their time.
        site.refuses("crowded-out", SILENT + 1 - HANDSHAKES_MOST)
        site.refuses("too-slow", HANDSHAKES_MOST - 1)
        site.says("is refused: handshake given up, others came: it was the slowest")
        site.says("is refused: handshake not completed in time")
        assert "host hyp1 is away" not in site.smd.log()
        for link in silent:
            link.close()


def what_became_of_links_over_tls_is_told_to_prometheus():
    with Site("host/hyp1", metrics="unix:metrics.sock") as site:
        host = site.host("hyp1", metrics="unix:metrics.sock")
        host.says("the root is here")
        with socket.create_connection(("127.0.0.1", site.port)) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
            site.says("plain text, not TLS")
        smd, agent = (Metrics(f"unix:{directory}/metrics.sock") for directory in (site.dir, host.dir))
        wait_until("the refusal is counted",
                   lambda: smd.values()['tether_smd_tls_refused_total{kind="plain-text"}'] == 1, PATIENCE_S)
        assert smd.values()['tether_smd_tls_handshakes_total{kind="full"}'] == 1, smd.values()
        assert agent.values()['tether_agent_tls_handshakes_total{kind="full"}'] == 1, agent.values()


TESTS = [agents_with_certificates_are_here, an_expired_certificate_is_refused, a_revoked_certificate_is_refused,
         a_certificate_of_another_ca_is_refused, a_root_of_another_ca_is_refused, a_wrong_host_is_refused, a_wrong_role_is_refused,
         who_shows_no_certificate_is_refused, an_older_tls_is_refused, plain_text_is_refused,
         a_root_of_an_older_tls_is_left, a_parent_of_a_wrong_role_is_left,
         an_agent_takes_the_parent_alone_that_it_is_told, a_root_of_plain_text_is_left, who_connects_and_says_nothing_keeps_nobody_out,
         a_certificate_of_another_host_is_no_agents, check_config_tries_the_certificates, what_expires_soon_is_said, who_is_revoked_is_cut_off_at_sighup,
         what_became_of_links_over_tls_is_told_to_prometheus,
         an_agent_leaves_a_root_that_is_revoked_at_sighup]

if __name__ == "__main__":
    sys.exit(run_tests(TESTS))
