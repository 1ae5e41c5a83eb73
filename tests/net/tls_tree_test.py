#!/usr/bin/env python3
"""Agents between tether-smd and hosts, all links over TLS: each shows its certificate to the one above, and is shown one."""
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from agent_harness import run_tests  # noqa: E402
from lab.authority import Authority  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from tls_harness import LISTENS, TETHER, Site, Speaker  # noqa: E402


def between(site, name, above=None, **how):
    """The agent, and where it listens once it has been let in."""
    agent = site.host(name, who=f"relay/{name}", role="relay", driver="", listen="tls:127.0.0.1:0",
                      root=f"tls:{above or site.place}", **how)
    agent.says("TLS at ")
    return agent, LISTENS.search(agent.log()).group(1)


def hosts_are_here_through_two_agents_between():
    with Site("relay/row1", "relay/rack1", "host/hyp1", "host/hyp2") as site:
        _, row = between(site, "row1")
        rack, place = between(site, "rack1", row)
        site.host("hyp1", root=f"tls:{place}")
        site.host("hyp2", root=f"tls:{row}")
        site.smd.hosts_here(2)
        assert rack.stop() == 0
        wait_until("hyp1 is away", lambda: site.smd.get("/v1/health")[1]["hypervisors"] == 1, logs=[site.log_path])


def host_of_another_ca_is_refused_by_an_agent_between():
    with Site("relay/rack1", "host/hyp1") as site:
        other = Authority(TETHER, os.path.join(site.dir, "other"), "host/hyp1")
        rack, place = between(site, "rack1")
        host = site.host("hyp1", root=f"tls:{place}", authority=other, ca=site.ca)
        host.says("the other end refuses: unknown CA")
        rack.says("is refused: ")
        assert site.smd.get("/v1/health")[1]["hypervisors"] == 0


def strangers_are_refused_by_an_agent_between():
    """As by tether-smd: expired, of a wrong role, of another host than it says, and one that says it is an agent between."""
    with Site("relay/rack1", "host/hyp1", "host/hyp2", "sm/other") as site:
        rack, place = between(site, "rack1")
        site.ca.issue("host/old", "--days", "0")
        site.host("old", root=f"tls:{place}").says("the other end refuses: certificate expired")
        rack.says("is refused: its certificate has expired (host/old)")
        with Speaker(site, "sm/other", place=place) as speaker:
            speaker.is_closed()
        rack.says("is refused: its certificate is of a role that has no business here (sm/other)")
        for name, role, reason in (("hyp2", "ROLE_HOST", "foreign-name"), ("hyp1", "ROLE_RELAY", "bad-role")):
            with Speaker(site, "host/hyp1", place=place) as speaker:
                speaker.hello(name, role)
                rack.says(f"is refused: {reason}")
                speaker.is_closed()
        assert site.smd.get("/v1/health")[1]["hypervisors"] == 0
        site.host("hyp1", root=f"tls:{place}")
        site.smd.hosts_here(1)


def who_is_revoked_loses_its_link_to_an_agent_between():
    with Site("relay/rack1", "host/hyp1", "host/hyp2") as site:
        rack, place = between(site, "rack1", tls_crl=site.ca.path("ca.crl"))
        site.host("hyp1", root=f"tls:{place}")
        site.host("hyp2", root=f"tls:{place}")
        site.smd.hosts_here(2)
        site.ca.cert("revoke", "host/hyp1")
        rack.process.send_signal(signal.SIGHUP)
        rack.says("is refused: its certificate is revoked (host/hyp1)")  # it comes again
        site.smd.hosts_here(1)
        here = {host["name"]: host["connected"] for host in site.smd.get("/v1/hypervisors")[1]["hypervisors"]}
        assert here == {"hyp1": False, "hyp2": True}, here


def host_that_is_here_already_is_refused_behind_an_agent_between():
    with Site("relay/rack1", "host/hyp1") as site:
        _, place = between(site, "rack1")
        site.host("hyp1")
        site.smd.hosts_here(1)
        os.rename(os.path.join(site.dir, "hyp1"), os.path.join(site.dir, "first"))
        second = site.host("hyp1", root=f"tls:{place}")
        second.says("name-taken")
        assert site.smd.get("/v1/health")[1]["hypervisors"] == 1


TESTS = [hosts_are_here_through_two_agents_between, host_of_another_ca_is_refused_by_an_agent_between,
         strangers_are_refused_by_an_agent_between, who_is_revoked_loses_its_link_to_an_agent_between,
         host_that_is_here_already_is_refused_behind_an_agent_between]

if __name__ == "__main__":
    sys.exit(run_tests(TESTS))
