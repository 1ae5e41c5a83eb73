#!/usr/bin/env python3
"""Agents between tether-smd and hosts, all links over TLS: each shows its certificate to the one above, and is shown one."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from agent_harness import run_tests  # noqa: E402
from lab.authority import Authority  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from tls_harness import LISTENS, TETHER, Site  # noqa: E402


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
         host_that_is_here_already_is_refused_behind_an_agent_between]

if __name__ == "__main__":
    sys.exit(run_tests(TESTS))
