# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""How long rounds of an honest VM take beside enemies, and without (run_bench_hostile)."""
import contextlib
import os
import select
import signal
import time

from hostile_lab import count_of
from lab.deadline import Late, wait_until

MESSAGES = 20  # of each attack in turn, but for floods: what is over a quota, and connections
PACE_S = 0.001  # of the honest VM: a host has a quota of what it may ask, too
SIEGE_S = 300  # in which each kind is refused at least once
RISES_S = 10  # the daemon may be behind: links that were closed meanwhile are no crowd
SLOW = ("half_frames", "silent_links")  # which are waited for: each has a process of its own
CROWDED = "crowded_links"


def kinds_of(attacks):
    return sorted({kind for attack in attacks for kind in attack.kind.split("+")})


def counts_of(scene, kinds):
    values = scene.metrics.values()
    return {kind: values[f"{scene.prefix}{kind}_total"] for kind in kinds}


@contextlib.contextmanager
def process(work):
    """Whoever is timed shares nothing with it but the processors. Yields a pipe from it."""
    hears, tells = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            work(tells)
        finally:
            os._exit(1)
    os.close(tells)
    try:
        yield hears
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(hears)


def attack_for_good(scene, attacks, connections, before, tells):
    """Tells once when all that @before names has been refused since then, by whomever it was said."""
    while True:
        for attack in attacks:
            # Now and then it comes before its last link is known to have ended.
            with contextlib.suppress(AssertionError, OSError, Late), contextlib.ExitStack() as links:
                kind = attack.kind.split("+")[0]
                told = scene.counted(kind)
                attack.run(scene, count_of(attack, connections if CROWDED in attack.kind else MESSAGES), links)
                wait_until(f"{kind} rises", lambda kind=kind, told=told: scene.counted(kind) > told, RISES_S)
            scene.enemies.clear()
        if before and all(now > before[kind] for kind, now in counts_of(scene, before).items()):
            os.write(tells, b".")
            before = {}


def attack_slowly(scene, attack, tells):
    scene.another_enemy = scene.slow_enemy
    attack_for_good(scene, [attack], 0, {}, tells)


def rounds_take(scene, rounds, are_met=lambda: True):
    seconds, end = [], time.monotonic() + SIEGE_S
    while len(seconds) < rounds or not are_met():
        assert time.monotonic() < end, "a kind is not refused"
        began = time.monotonic()
        scene.round_trip()
        seconds.append(time.monotonic() - began)
        time.sleep(PACE_S)
    return seconds


def rounds_besieged(scene, attacks, connections, rounds):
    """What each took, and how often which kind was refused meanwhile. They go on until each was."""
    kinds = kinds_of(attacks)
    before = counts_of(scene, kinds)
    with contextlib.ExitStack() as enemies:
        for slow in (attack for attack in attacks if attack.kind in SLOW):
            enemies.enter_context(process(lambda tells, slow=slow: attack_slowly(scene, slow, tells)))
        others = [attack for attack in attacks if attack.kind not in SLOW]
        hears = enemies.enter_context(process(lambda tells: attack_for_good(scene, others, connections, before, tells)))
        seconds = rounds_take(scene, rounds, lambda: select.select([hears], [], [], 0)[0])
        return seconds, {kind: now - before[kind] for kind, now in counts_of(scene, kinds).items()}


def percentiles(seconds):
    ordered = sorted(seconds)
    return {f"p{percent}": round(1000 * ordered[min(len(ordered) - 1, len(ordered) * percent // 100)], 3) for percent in (50, 99)}


def honest_rounds(scene_of, attacks, rounds, pairs, connections):
    """A round that is lost raises. What keeps its enemy out for a while is no attack here."""
    attacks = [attack for attack in attacks if attack.most > 1 or attack.kind in SLOW]
    quiet, besieged, refused = [], [], dict.fromkeys(kinds_of(attacks), 0)
    for _ in range(pairs):
        with scene_of() as scene:
            quiet += rounds_take(scene, rounds)
            seconds, refused_now = rounds_besieged(scene, attacks, connections, rounds)
        besieged += seconds
        for kind, times in refused_now.items():
            refused[kind] += times
    return {"rounds": len(quiet), "rounds_besieged": len(besieged), "refused_meanwhile": refused,
            "quiet_ms": percentiles(quiet), "besieged_ms": percentiles(besieged)}
