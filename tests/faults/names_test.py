#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""What programs call each other stays true when VMs have moved: connections and datagrams reach whom they name, and come
from whom they say, whoever meets whom before or after how many moves, on adapters that hand out every number again to
somebody else."""
import os
import re
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults.victims import start_migration  # noqa: E402
from lab.deadline import wait_until  # noqa: E402
from lab.system import START_S, CommandFailed, System  # noqa: E402
from lab.tap import Tap  # noqa: E402
from simfabric.verbs_peer import Peer, connect  # noqa: E402

SIZE = 64
GRH = 40
QKEY = 0x1234
VMS = {"vm1": "hyp1_vf1", "vm2": "hyp2_vf1", "vm3": "hyp4_vf1"}
QUIET_MS = 200
END_S = 90


class Program(Peer):
    """A verbs-shell in a VM. Its memory: what it sends is at 0, what it hears behind, a place for each."""

    def __init__(self, lab, vm):
        self.log = lab.path(f"program-{vm}-{len(lab.fabric.children)}.log")
        env = {"TETHER_AGENT": "unix:" + lab.path("vms", f"{vm}.sock"), "TETHER_LOG": self.log, "TETHER_LOG_LEVEL": "debug"}
        super().__init__(lab.fabric, vm=vm, preload=lab.build.preload(True), env=env)
        self.open("plain")
        self.places = 1

    def datagrams(self, pkey_index=0):
        """A queue pair for them that is ready."""
        qp = self.qp("ud")
        self.do("ready", qp, QKEY, pkey_index=pkey_index)
        return qp

    def listens(self, qp):
        place = self.places * 4096
        self.places += 1
        self.do("recv", qp, place, place, GRH + SIZE)
        return place

    def says(self, qp, to, qpn, word):
        """A datagram with @word to queue pair @qpn where @to is."""
        self.do("fill", 0, SIZE, word)
        self.do("send", qp, word, 0, SIZE, lid=to.lid, qpn=qpn, qkey=QKEY)
        assert self.poll("send") == (word, "success"), "not sent"


def is_heard(by, qp, word, sender, sender_qpn):
    """What @by hears next is @word, for its @qp, and from that sender by the names that are known."""
    heard = by.hear()
    assert heard, "not heard"
    assert heard["qpn"] == by.qps[qp], f"heard by 0x{heard['qpn']:x} instead of 0x{by.qps[qp]:x}"
    assert heard["src_qp"] == sender_qpn, f"from 0x{heard['src_qp']:x} instead of 0x{sender_qpn:x}"
    assert heard["slid"] == sender.lid, f"from LID {heard['slid']} instead of {sender.lid}"
    assert heard["pkey_index"] == 0 and heard["length"] == SIZE
    assert "same" in by.do("same", heard["wr_id"] + GRH, SIZE, word), "another's word"


def datagram_arrives(a, b, a_qp, b_qp, word):
    b.listens(b_qp)
    a.says(a_qp, b, b.qps[b_qp], word)
    is_heard(b, b_qp, word, a, a.qps[a_qp])


def both_ways(a, b, a_qp, b_qp, word):
    datagram_arrives(a, b, a_qp, b_qp, word)
    datagram_arrives(b, a, b_qp, a_qp, word + 1)


def connection_works(a, b, a_qp, b_qp, word):
    """A SEND and a WRITE each way."""
    for one, other, one_qp, other_qp in ((a, b, a_qp, b_qp), (b, a, b_qp, a_qp)):
        word += 1
        place = other.listens(other_qp)
        one.do("fill", 0, SIZE, word)
        one.do("send", one_qp, word, 0, SIZE)
        assert one.poll("send") == (word, "success"), "not sent"
        assert other.poll("recv") == (place, "success"), "not received"
        assert "same" in other.do("same", place, SIZE, word)
        one.do("write", one_qp, word, 0, SIZE, **other.target(512))
        assert one.poll("send") == (word, "success"), "not written"
        wait_until("the word is there", lambda: "same" in other.do("same", 512, SIZE, word), START_S, [])


class Known:
    """How often @program has heard from its agent what queue pairs at @lid are called."""

    def __init__(self, program, lid):
        self.program, self.answer = program, f"lid {lid}: numbers of datagram queue pairs are known"

    def count(self):
        return open(self.program.log).read().count(self.answer)


class Scene:
    """Program `known` of vm1 has queue pairs for datagrams, a connection to `peer` in vm2, and a region that was registered
    anew; something of everything was given back before the VM moves, so that on the next device, which counts from the
    beginning, each has the number by which another is known."""

    def __init__(self, lab):
        self.lab = lab
        lab.fabric.cli("data-fault", "colliding_numbers=1")
        first = Program(lab, "vm1")
        first.qp()
        first.datagrams()
        self.known = Program(lab, "vm1")
        self.peer = Program(lab, "vm2")
        self.known.qp()
        self.datagrams = [self.known.datagrams() for _ in range(3)]
        self.known.do("dereg")
        self.known.rkey = self.known.do("rereg")["rkey"]
        self.peer.qp()
        self.peer_datagrams = self.peer.datagrams()
        connect(self.known, self.peer)
        first.end()
        self.word = 0

    def next_word(self):
        self.word += 10
        return self.word

    def old_friends_meet(self):
        connection_works(self.known, self.peer, 0, 0, self.next_word())
        for qp in self.datagrams:
            both_ways(self.peer, self.known, self.peer_datagrams, qp, self.next_word())


def numbers_reused_on_purpose_reach_whom_they_name(lab, scenes):
    scene = Scene(lab)
    scenes.append(scene)
    scene.old_friends_meet()
    lab.migrate("vm1", "hyp3")
    scene.old_friends_meet()


def peer_that_connects_after_the_move_reaches_it(lab, scenes):
    """Neither it nor its VM has heard of that VM before."""
    scene = scenes[0]
    scene.late = late = Program(lab, "vm3")
    late.qp()
    late.datagrams()
    scene.to_late = scene.known.qp()
    connect(late, scene.known, 0, scene.to_late)
    connection_works(late, scene.known, 0, scene.to_late, scene.next_word())
    for qp in scene.datagrams:
        both_ways(late, scene.known, 1, qp, scene.next_word())


def sender_is_known_to_who_only_listens(lab, scenes):
    """It never had an address handle to the VM; from its first datagram on it hears when that moves."""
    scene = scenes[0]
    listener = Program(lab, "vm2")
    qp = listener.datagrams()
    known, word = scene.known, scene.next_word()
    listener.listens(qp)
    known.says(scene.datagrams[0], listener, listener.qps[qp], word)
    assert listener.hear(), "not heard"
    wait_until("the listener knows who that was", Known(listener, lab.lid_of("vm1")).count, START_S, [listener.log])
    lab.migrate("vm1", "hyp1")
    for sender in scene.datagrams:
        datagram_arrives(known, listener, sender, qp, scene.next_word())
    # What it hears is enough to answer.
    known.listens(scene.datagrams[-1])
    word = scene.next_word()
    listener.do("fill", 0, SIZE, word)
    listener.do("answer", qp, word, 0, SIZE, qkey=QKEY)
    assert listener.poll("send") == (word, "success")
    is_heard(known, scene.datagrams[-1], word, listener, listener.qps[qp])
    listener.end()


def two_peers_and_moves_of_all_three(lab, scenes):
    scene = scenes[0]
    for vm, host in (("vm1", "hyp3"), ("vm2", "hyp1"), ("vm3", "hyp2"), ("vm1", "hyp4")):
        lab.migrate(vm, host)
        scene.old_friends_meet()
        connection_works(scene.late, scene.known, 0, scene.to_late, scene.next_word())
        both_ways(scene.late, scene.known, 1, scene.datagrams[1], scene.next_word())
        both_ways(scene.late, scene.peer, 1, scene.peer_datagrams, scene.next_word())
        stranger = Program(lab, "vm3" if vm == "vm2" else "vm2")
        datagram_arrives(scene.known, stranger, scene.datagrams[0], stranger.datagrams(), scene.next_word())
        stranger.end()


class Asleep:
    """Meanwhile a migration that @program has to do with gets no further than PREPARE."""

    def __init__(self, program):
        self.child = program.child

    def __enter__(self):
        self.child.send_signal(signal.SIGSTOP)

    def __exit__(self, *unused):
        self.child.send_signal(signal.SIGCONT)


def count_prepared(program):
    return len(re.findall(r"steps: migration \S+ PREPARE\.\d+ [A-Z]+$", open(program.log).read(), re.M))


def sender_is_who_it_is_in_the_middle_of_a_move(lab, scenes):
    """Of its own VM, or of the VM that hears it: one that has moved before is heard there for the first time."""
    scene = scenes[0]
    known, late = scene.known, scene.late
    for sender, sender_qp, listener_vm, host in ((known, scene.datagrams[0], "vm3", "hyp3"), (late, 1, "vm1", "hyp4")):
        listener = Program(lab, listener_vm)
        qp = listener.datagrams()
        before = count_prepared(known)
        with Asleep(scene.peer):
            command = start_migration(lab, "vm1", host)
            wait_until("the VM's program has prepared", lambda: count_prepared(known) > before, START_S, lab.logs())
            datagram_arrives(sender, listener, sender_qp, qp, scene.next_word())
        assert command.wait(END_S) == 0, command.output()
        datagram_arrives(sender, listener, sender_qp, qp, scene.next_word())
        both_ways(listener, sender, qp, sender_qp, scene.next_word())
        scene.old_friends_meet()
        listener.end()


def freed_number_is_nobody_elses(lab, scenes):
    """Peers go on sending to a queue pair that is gone. Neither its number nor the one that it really had is given to
    another while they do."""
    scene = scenes[0]
    known, gone = scene.known, scene.datagrams.pop(0)
    taken = {*known.qps}
    known.do("destroy", gone)
    new = [Program(lab, "vm1") for _ in range(2)]
    for program in new:
        for _ in range(4):
            qp = program.datagrams()
            assert program.qps[qp] not in taken, "a number that still means another"
            program.listens(qp)
        taken.update(program.qps)
    scene.datagrams.append(known.datagrams())
    for qp in scene.datagrams:
        known.listens(qp)
    for sender, qp in ((scene.peer, scene.peer_datagrams), (scene.late, 1)):
        sender.says(qp, known, known.qps[gone], scene.next_word())
    for program in (known, *new):
        assert program.hear(QUIET_MS) is None, "heard by another"
    for program in new:
        for qp in range(4):
            scene.peer.says(scene.peer_datagrams, program, program.qps[qp], word := scene.next_word())
            is_heard(program, qp, word, scene.peer, scene.peer.qps[scene.peer_datagrams])
            datagram_arrives(program, scene.late, qp, 1, scene.next_word())


def moves(lab, vm, host):
    """For a while tether-smd waits for who may come back, and refuses to move meanwhile."""
    try:
        lab.migrate(vm, host)
        return True
    except CommandFailed:
        return False


def who_missed_a_move_asks_again(lab, scenes):
    """Nobody is refused a move because of somebody who sends it datagrams and whose agent is away."""
    lab.fabric.cli("data-fault", "colliding_numbers=1")
    first, moving, peer = Program(lab, "vm1"), Program(lab, "vm1"), Program(lab, "vm2")
    first.datagrams()
    a, b = moving.datagrams(), peer.datagrams()
    both_ways(peer, moving, b, a, 1)
    first.end()
    host = VMS["vm2"].split("_")[0]
    lab.agents[host].kill()
    wait_until("the VM moves without it", lambda: moves(lab, "vm1", "hyp3"), START_S, lab.logs())
    known = Known(peer, moving.lid)
    before = known.count()
    lab.start_agent(host)
    wait_until("the peer has asked again", lambda: known.count() > before, START_S, [peer.log])
    both_ways(peer, moving, b, a, 11)


# GIDs and P_Keys by index.

BLUE = 0x8001


def partitions(vm_guids):
    """The VMs are in Blue as well; it is not the first of their P_Keys."""
    members = ", ".join(f"0x{guid:016x}=full" for guid in vm_guids.values())
    return f"Default=0x7fff, ipoib: ALL=full;\nBlue=0x{BLUE & 0x7fff:04x}: SELF=full, {members};\n"


def tables_of(program):
    """All that the application can see of them."""
    gids = [program.do("gid", index)["gid"] for index in range(4)]
    pkeys = [program.do("pkey", index)["pkey"] for index in range(8)]
    places = [program.do("place", pkey)["index"] for pkey in pkeys if pkey]
    return gids, pkeys, places


def blue_arrives(a, b, a_qp, b_qp, word, gids):
    """With a GRH, from one member of Blue to the other."""
    b.listens(b_qp)
    a.do("fill", 0, SIZE, word)
    a.do("send", a_qp, word, 0, SIZE, lid=b.lid, qpn=b.qps[b_qp], qkey=QKEY, gid=gids[b], sgid=0)
    assert a.poll("send") == (word, "success"), "not sent"
    heard = b.hear()
    assert heard, "not heard"
    assert (heard["src_qp"], heard["pkey_index"], heard["grh"]) == (a.qps[a_qp], b.blue, 1), heard
    assert (heard["sgid"], heard["dgid"]) == ("g" + gids[a], "g" + gids[b]), heard
    # An answer goes by what has been heard.
    a.listens(a_qp)
    b.do("answer", b_qp, word, heard["wr_id"] + GRH, SIZE, qkey=QKEY)
    assert b.poll("send") == (word, "success"), "not answered"
    answer = a.hear()
    assert (answer["src_qp"], answer["pkey_index"], answer["grh"]) == (b.qps[b_qp], a.blue, 1), answer
    assert (answer["sgid"], answer["dgid"]) == ("g" + gids[b], "g" + gids[a]), answer
    assert "same" in a.do("same", answer["wr_id"] + GRH, SIZE, word)


def indices_mean_what_they_meant(lab):
    a, b = Program(lab, "vm1"), Program(lab, "vm2")
    before = {program: tables_of(program) for program in (a, b)}
    gids = {program: tables[0][0] for program, tables in before.items()}
    for program in (a, b):
        program.blue = program.do("place", BLUE)["index"]
        assert program.blue, "Blue is to stand behind another"
        program.datagrams(pkey_index=program.blue)
        program.qp()
    connect(a, b, 1, 1)
    blue_arrives(a, b, 0, 0, 1, gids)
    lab.fabric.cli("data-fault", "shifted_tables=1")
    for round, (vm, host) in enumerate((("vm1", "hyp3"), ("vm2", "hyp1"), ("vm1", "hyp4"), ("vm1", "hyp2"))):
        lab.migrate(vm, host)
        for program in (a, b):
            assert tables_of(program) == before[program], f"{tables_of(program)} instead of {before[program]}"
        blue_arrives(a, b, 0, 0, 100 * round + 10, gids)
        blue_arrives(b, a, 0, 0, 100 * round + 11, gids)
        connection_works(a, b, 1, 1, 100 * round + 20)
        late = [program.datagrams(pkey_index=program.blue) for program in (a, b)]
        blue_arrives(a, b, *late, 100 * round + 30, gids)
    # One that starts now sees the device as it is.
    late = Program(lab, "vm1")
    assert tables_of(late) != before[a], "nothing stands elsewhere"


SCENES = (numbers_reused_on_purpose_reach_whom_they_name, peer_that_connects_after_the_move_reaches_it,
          sender_is_known_to_who_only_listens, two_peers_and_moves_of_all_three,
          sender_is_who_it_is_in_the_middle_of_a_move, freed_number_is_nobody_elses)


def scenes_are_played(tap, **system):
    scenes = []
    with System(vms=VMS, **system) as lab:
        lab.start()
        for test in SCENES:
            tap.run(test.__name__, test, lab, scenes)


def others_are_played(tap, members=partitions, **system):
    pair = {vm: VMS[vm] for vm in ("vm1", "vm2")}
    with System(vms=pair, **system) as lab:
        lab.start()
        tap.run("who_missed_a_move_asks_again", who_missed_a_move_asks_again, lab, [])
    with System(vms=pair, partitions=members, **system) as lab:
        lab.start()
        tap.run("indices_mean_what_they_meant", indices_mean_what_they_meant, lab)


if __name__ == "__main__":
    TAP = Tap()
    scenes_are_played(TAP)
    others_are_played(TAP)
    TAP.exit()
