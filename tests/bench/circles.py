# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""Which blocks of which switches cannot be written by one Set each, if an entry is to be written only after the first one further
down its new route that changes, too (sm-side/DESIGN.md "Order of the Sets"). Told from the tables before and after and
the cables; it knows nothing of any planner."""

BLOCK_LIDS = 64


def changed_lids(before, after):
    """Ascending; {switch: a byte for each LID} each."""
    return sorted({lid for switch in before for lid, (old, new) in enumerate(zip(before[switch], after[switch])) if old != new})


class Waits:
    """{(switch, block): those that it waits for}"""

    def __init__(self, before, after, peers):
        self.before, self.after, self.peers = before, after, peers
        self.of = {}
        for lid in changed_lids(before, after):
            for switch in before:
                if before[switch][lid] != after[switch][lid]:
                    self.add(switch, lid)

    def add(self, switch, lid):
        waits = self.of.setdefault((switch, lid // BLOCK_LIDS), set())
        further = self.next_changed(switch, lid)
        if further:
            waits.add((further, lid // BLOCK_LIDS))

    def entries_in(self, nodes):
        """How many entries change in these blocks."""
        return sum(self.before[switch][lid] != self.after[switch][lid]
                   for switch, block in nodes for lid in range(block * BLOCK_LIDS, min((block + 1) * BLOCK_LIDS, len(self.before[switch]))))

    def next_changed(self, switch, lid):
        """The first switch on the new route from @switch whose entry changes; None where none does."""
        while True:
            switch = self.peers.get((switch, self.after[switch][lid]), (None,))[0]
            if switch not in self.after:
                return None
            if self.before[switch][lid] != self.after[switch][lid]:
                return switch


def finished_order(waits):
    """All nodes, each after those that it waits for where there is no circle. Depth first, without recursion."""
    seen, order = set(), []
    for start in waits:
        if start in seen:
            continue
        seen.add(start)
        stack = [(start, iter(waits[start]))]
        while stack:
            node, others = stack[-1]
            other = next((other for other in others if other not in seen), None)
            if other is None:
                order.append(stack.pop()[0])
            else:
                seen.add(other)
                stack.append((other, iter(waits[other])))
    return order


def reached(start, edges, left):
    """Of @left, which loses them."""
    found, ways = {start}, [start]
    left.discard(start)
    while ways:
        for other in edges[ways.pop()] & left:
            left.discard(other)
            found.add(other)
            ways.append(other)
    return found


def circles(waits):
    """The sets of nodes that wait for each other (Kosaraju)."""
    waited_for = {node: set() for node in waits}
    for node, others in waits.items():
        for other in others:
            waited_for[other].add(node)
    left = set(waits)
    found = [reached(node, waited_for, left) for node in reversed(finished_order(waits)) if node in left]
    return [circle for circle in found if len(circle) > 1]
