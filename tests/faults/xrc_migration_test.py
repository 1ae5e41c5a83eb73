#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""XRC: Debian's perftest and ibv_xsrq_pingpong, unmodified, while their VM moves."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.deadline import wait_until  # noqa: E402
from lab.ports import free_port, is_listening  # noqa: E402
from lab.survival import LOAD_S, MIGRATIONS, Moving, survive, survive_counted  # noqa: E402
from lab.system import System  # noqa: E402
from lab.tap import Tap  # noqa: E402
from lab.workload import Pair, perftest, whole_count  # noqa: E402

MESSAGES = 10000
EXCHANGES = 4000
EXCHANGE_BYTES = 1 << 20


def perftest_survives(lab, moving, program):
    """Both ways of posting, side by side."""
    def start(attempt):
        return [perftest(lab, program, "vm2", "vm1", ["-c", "XRC", "-D", str(LOAD_S << attempt), *way],
                         name=f"{program}-xrc{''.join(way)}")
                for way in ((), ("--use_old_post_send",))]
    survive(moving, start)


def events_survive(lab, moving):
    """Asleep until a completion event; that goes by count alone."""
    def start(counts):
        return [perftest(lab, "ib_send_bw", "vm2", "vm1",
                         ["-c", "XRC", "-e", "-q", "2", "-b", "-n", str(whole_count(counts[0]))],
                         name="ib_send_bw-xrc-events")]
    survive_counted(moving, start, [MESSAGES])


def pingpong_survives(lab, moving, arguments):
    """It has room for all its sends in the queue, so that a run is made longer by their size."""
    def start(attempt):
        return [perftest(lab, "ibv_xsrq_pingpong", "vm2", "vm1",
                         ["-n", str(EXCHANGES), "-s", str(EXCHANGE_BYTES << attempt), *arguments])]
    survive(moving, start)


class LateClient(Pair):
    """ibv_xsrq_pingpong whose server, with all its objects, has moved before the client comes."""

    def __init__(self, lab, moving):
        port = free_port()
        argv = ["ibv_xsrq_pingpong", "-p", str(port), "-n", str(EXCHANGES)]
        self.name = "xsrq-late"
        self.server = lab.run_in_vm("vm1", f"{self.name}-server", argv)
        wait_until("the server listens", lambda: is_listening(port), 20, [self.server.log], [self.server])
        moving.move()
        self.client = lab.run_in_vm("vm2", f"{self.name}-client", [*argv, "localhost"])


def late_client_finds_the_queues(lab, moving):
    for _ in range(2):
        with LateClient(lab, moving) as pair:
            statuses = pair.wait(60)
            assert statuses == (0, 0), f"exit statuses {statuses}{pair.words()}"


def main():
    tap = Tap()
    with System(copy_ms=50) as lab:
        lab.start()
        moving = Moving(lab)
        for program in ("ib_send_bw", "ib_write_bw", "ib_send_lat"):
            tap.run(f"{program}_over_xrc_survives_{MIGRATIONS}_migrations_both_ways_of_posting", perftest_survives, lab,
                    moving, program)
        tap.run(f"ib_send_bw_with_events_over_xrc_survives_{MIGRATIONS}_migrations", events_survive, lab, moving)
        tap.run(f"xsrq_pingpong_survives_{MIGRATIONS}_migrations", pingpong_survives, lab, moving, [])
        tap.run(f"xsrq_pingpong_with_events_survives_{MIGRATIONS}_migrations", pingpong_survives, lab, moving, ["-e"])
        tap.run("a_client_finds_the_shared_queues_of_a_server_that_has_moved", late_client_finds_the_queues, lab, moving)
    tap.exit()


main()
