# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""What hostile guests and hosts say. Each attack says @count bad things, and by its counter as many are refused, but for what is
within a quota. Links that have to stand meanwhile are the stack's."""
import collections

from hostile_lab import LID_OF_VM2, PROCESSES, VERSION, answer_to, frame, gid, interest, interest_in

MEGABYTE = 1 << 20
UNDER_WAY = 16384  # registrations of a guest that nobody above has acknowledged
QUOTA = 131072  # interests of a host
LINKS = 8  # of a certificate
WORDS = 2  # of all that a host may have, each another one
OPEN, VMS = 33, 4097  # more than a host may name
INTERESTS = 2000  # in one HELLO
AT_ONCE = 64  # frames in one write
HONEST_VM = "hyp1-vm"  # of the honest host
HALF = b"\0\0\x10\0half"
BEATS = frame("heartbeat", {}) * 300  # of each of its links: as many as a VM may say at once, and no more

# allowed: so many are within a quota. least, most, full: how many are said at least, at most, and with TETHER_FULL=1.
# body: of which kind of frame it is a lie. weight: each costs as much as so many of others may.
Attack = collections.namedtuple("Attack", "name kind run allowed least most full body weight", defaults=(0, 1, 10**6, 1000, None, 1))


def over_one_link(say, who="enemy"):
    def run(scene, count, stack):
        enemy = stack.enter_context(getattr(scene, who)())
        for number in range(0, count, AT_ONCE):
            scene.about_to_say(number)
            enemy.say(b"".join(map(say, range(number, min(count, number + AT_ONCE)))))
            enemy.let_in()
    run.keeps_its_link = True
    return run


def each_over_its_own(say, welcome=True, where=(), reason=None):
    """Each costs its link; @reason: which is said."""
    def run(scene, count, stack):
        for number in range(count):
            with scene.another_enemy() if welcome else scene.connect(*where) as enemy:
                enemy.say(say(number))
                if reason:
                    enemy.is_refused("hello_answer", reason)
                enemy.until_closed()
    return run


def over_every_link(say):
    """As many links as a VM may have, and over each what costs its sender least, then its part."""
    def run(scene, count, stack):
        enemies = [stack.enter_context(scene.process_of_vm1(f"vm1/{pid}.1")) for pid in range(1, PROCESSES + 1)]
        for enemy in enemies:  # the end of them is asked after, so that none is under way any more
            enemy.say(BEATS + frame("interest", {"request": 1, "address": {"lid": 0x10000}}))
            enemy.is_refused("interest_answer", "bad-address")
        for number in range(max(count, PROCESSES)):
            scene.about_to_say(number)
            enemy = enemies[number % PROCESSES]
            enemy.say(say(number))
            enemy.let_in()
    return run


def half_over_every_link(scene, count, stack):
    """As many links as a VM may have, all of which wait for the rest of a message."""
    for pid in range(1, count + 1):
        stack.enter_context(scene.process_of_vm1(f"vm1/{pid}.1")).say(HALF)


def hello(reason, *where, **said):
    return each_over_its_own(lambda number: frame("hello", dict({"version": VERSION}, **said)), False, where, reason)


def bad_address(scene, count, stack):
    enemy = stack.enter_context(scene.enemy())
    for number in range(0, count, AT_ONCE):
        scene.about_to_say(number)
        some = range(number, min(count, number + AT_ONCE))
        enemy.say(b"".join(frame("interest", {"request": which + 1, "address": {"lid": 0x10000}}) for which in some))
        for _ in some:
            enemy.is_refused("interest_answer", "bad-address")


bad_address.keeps_its_link = True


def foreign_vm_in_hello(scene, count, stack):
    for _ in range(count):
        with scene.connect() as enemy:
            enemy.hello("ROLE_HOST", "evil", vms=[{"name": HONEST_VM}])
            enemy.welcomed()


def another_word_each_time(scene, count, stack):
    """By a host of its own: who is put off is so for a while."""
    for number in range(count):
        rows = [{"name": f"{number}.{row}"} for row in range(VMS - 1)]
        scene.about_to_say(number)
        with scene.connect("fickle") as enemy:
            enemy.hello("ROLE_HOST", "fickle", slots=rows, vms=rows)
            if number < WORDS:
                enemy.welcomed()
            else:
                enemy.is_refused("hello_answer", "too-many-changes")


def alike(number):
    """The same low bits, and the same exclusive or of their words: by a hash that anybody can foresee they might be in one place."""
    return interest_in(number, gid(number << 40, number << 40))


def twice(number):
    """What is held is held once."""
    return interest_in(number, gid(number // 2 + 1))


def others_each_time(number):
    return [{"gid": gid(which + 1, number + 1)} for which in range(INTERESTS)]


def hellos_of_processes(scene, count, stack):
    """Of one VM, each with other interests; then what is counted."""
    for number in range(count):
        with scene.connect() as enemy:
            enemy.hello("ROLE_SHIM", f"vm1/{number + 1}.1", addresses=others_each_time(number))
            enemy.welcomed()
            enemy.say(unasked(number))


def hellos_of_a_host(scene, count, stack):
    for number in range(count):
        with scene.connect() as enemy:
            enemy.hello("ROLE_HOST", "evil", vms=[{"name": HONEST_VM}], addresses=others_each_time(number))
            enemy.welcomed()


def all_at_once(*where):
    """Connections that say nothing: one too many is refused at once, the others when they have been silent for too long."""
    def run(scene, count, stack):
        for _ in range(count):
            stack.enter_context(scene.connect(*where))
    return run


def unasked(number, said=None, **more):
    """@more: of the event that it says it answers; @said: of the answer."""
    event = dict({"migration": 1, "epoch": 1, "step": "STEP_STOP", "sequence": (1 << 20) + number}, **more)
    return frame("answer", answer_to(event, **(said or {})))


NAME_BYTES = 64
NAMES = [f"vm1/{number:0{NAME_BYTES - 6}}" for number in range((MEGABYTE - 256) // NAME_BYTES)]  # each two bytes more in a frame


def names_of_a_megabyte(number):
    """As many as fit one frame, of which nothing else is wrong."""
    said = unasked(number, {"answered": NAMES})
    assert MEGABYTE - 512 < len(said) <= MEGABYTE, len(said)
    return said


OUT_OF_PLACE = {"event": {"vm": "vm2", "epoch": 99, "step": "STEP_ABORT"}, "hello_answer": {"outcome": "OUTCOME_DONE"},
                "interest_answer": {"request": 1}, "hello": {"version": VERSION, "role": "ROLE_HOST", "name": "evil"},
                "behind": {"name": "hyp1"}, "pull": {"request": 1},
                "whereabouts": {"vms": [{"vm": "vm2", "host": "evil", "located": True}]}}

COMMON = [
    Attack("another version", "refused_hellos", hello("version", role="ROLE_HOST", name="evil", version=1)),
    Attack("a name that is none", "refused_hellos", hello("bad-name", role="ROLE_GUEST", name="a b\n")),
    Attack("another role", "refused_hellos", hello("bad-role", role="ROLE_ROOT", name="evil")),
    Attack("an answer that nobody asked for", "unasked_answers", over_one_link(unasked), body="answer"),
    Attack("an answer of another epoch", "unasked_answers", over_one_link(lambda number: unasked(0, sequence=1, epoch=2 + number))),
    Attack("a report that nobody asked for", "unasked_reports", over_one_link(lambda number: frame("report", {
        "request": 1 + number, "name": "hyp1", "role": "ROLE_HOST"})), body="report"),
    Attack("an address that is none", "refused_interests", bad_address, body="interest"),
    Attack("a megabyte of garbage", "garbled_frames", each_over_its_own(
        lambda number: MEGABYTE.to_bytes(4, "big") + bytes([0xff]) * MEGABYTE), full=100),
    Attack("a megabyte of names in an answer that nobody asked for", "unasked_answers", over_one_link(names_of_a_megabyte), full=100),
    Attack("more than a megabyte", "large_frames", each_over_its_own(lambda number: (MEGABYTE + 1).to_bytes(4, "big") + bytes(64))),
    Attack("garbage", "garbled_frames", each_over_its_own(lambda number: (64).to_bytes(4, "big") + bytes([0xff - number % 16] * 64))),
    Attack("half a message and silence", "half_frames", each_over_its_own(lambda number: HALF), most=1),
    Attack("silence", "silent_links", each_over_its_own(lambda number: b"", welcome=False), most=1),
] + [Attack(f"{body}, which is not its to send", "out_of_place_frames", each_over_its_own(lambda number, said=said: frame(*said)), body=body)
     for body, said in ((body, (body, message)) for body, message in OUT_OF_PLACE.items())]

GUEST = COMMON + [
    Attack("an announcement at another VM's LID", "foreign_lids", over_one_link(lambda number: frame("interest", {
        "request": number + 1, "address": {"lid": LID_OF_VM2, "qpn": number + 1, "context": 1}}), who="stranger")),
    Attack("the end of another VM's connection", "foreign_partings", over_one_link(lambda number: frame("parting", {
        "local_lid": LID_OF_VM2, "local_qpn": number + 1, "remote_lid": 1, "remote_qpn": 1}), who="stranger"), body="parting"),
    Attack("the numbers of a VM in another partition", "foreign_partitions", over_one_link(lambda number: frame("interest", {
        "request": number + 1, "address": {"lid": LID_OF_VM2}, "remote_qpn": number + 1}), who="stranger")),
    Attack("HELLO of another VM", "refused_hellos", hello("foreign-name", "vm1.guest", role="ROLE_GUEST", name="vm2"), most=1),
    Attack("HELLO of a host through a guest's channel", "refused_hellos", hello("bad-role", "vm1.guest", role="ROLE_HOST", name="hyp1"), most=1),
    Attack("HELLO of another VM's process", "refused_hellos", hello("foreign-name", role="ROLE_SHIM", name="vm2/11.1")),
    Attack("HELLO of its host", "refused_hellos", hello("bad-role", role="ROLE_HOST", name="hyp1")),
    Attack("half a message and silence over all links of a VM at once", "half_frames", half_over_every_link, least=PROCESSES, most=PROCESSES),
    Attack("a million interests", "refused_interests", over_one_link(interest), allowed=UNDER_WAY, least=UNDER_WAY + 1000, full=10**6),
    Attack("interests that fall together", "refused_interests", over_one_link(alike), allowed=UNDER_WAY, least=UNDER_WAY + 1000, full=10**6),
    Attack("interests that are held twice", "refused_interests", over_one_link(twice), allowed=UNDER_WAY, least=UNDER_WAY + 1000, full=10**6),
    Attack("HELLOs with interests", "unasked_answers", hellos_of_processes, full=100, weight=INTERESTS),
    Attack("all links of a VM at once", "unasked_answers", over_every_link(unasked), least=PROCESSES, full=10**5),
    Attack("10,000 connections", "crowded_links+silent_links", all_at_once("vm1.sock"), least=PROCESSES + 100, full=10**4),
]

HOST = COMMON + [
    Attack("the end of another host's VM's connection", "foreign_partings", over_one_link(lambda number: frame("parting", {
        "local_lid": LID_OF_VM2, "local_qpn": number + 1, "remote_lid": 1, "remote_qpn": 1, "vm": HONEST_VM})), body="parting"),
    Attack("HELLO with another host's VM", "foreign_vms", foreign_vm_in_hello),
    Attack("a result with another host's VM that nobody asked for", "foreign_vms", over_one_link(lambda number: unasked(
        number, {"result": {"host": "evil", "vms": [{"name": HONEST_VM}], "slots": [{"name": "vf0"}]}}))),
    Attack("HELLO of another host", "refused_hellos", hello("foreign-name", role="ROLE_HOST", name="hyp1")),
    Attack("HELLO of an agent between", "refused_hellos", hello("bad-role", role="ROLE_RELAY", name="evil")),
    Attack("migrations without end", "refused_hellos", hello("too-many-open", role="ROLE_HOST", name="evil", open=list(range(1, OPEN + 1)))),
    Attack("VMs without end", "refused_hellos", hello("too-many-vms", role="ROLE_HOST", name="evil", vms=[{"name": "v"}] * VMS), full=100),
    Attack("a million interests", "refused_interests", over_one_link(interest), allowed=QUOTA, least=QUOTA + 1000, full=10**6),
    Attack("interests that fall together", "refused_interests", over_one_link(alike), allowed=QUOTA, least=QUOTA + 1000, full=10**6),
    Attack("interests that are held twice", "refused_interests", over_one_link(twice), allowed=2 * QUOTA, least=2 * QUOTA + 1000, full=10**6),
    Attack("HELLOs with interests", "foreign_vms", hellos_of_a_host, full=100),
    Attack("10,000 connections", "crowded_links+silent_links", all_at_once(), least=LINKS + 8, full=10**4),
]

# What of it is within the quota is written, and costs what it costs.
OTHER_WORDS = Attack("other VMs and slots each time", "words_put_off", another_word_each_time, allowed=WORDS, least=WORDS + 1, full=100)
