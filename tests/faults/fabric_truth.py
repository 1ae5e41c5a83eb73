# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""What a simulated fabric really holds, read from its dumps: who is where, with which LID and P_Keys, and where packets
come out. It asks no subnet manager. A port whose link is down is nowhere."""

MAX_HOPS = 64


def number(guid):
    return int(guid, 16)


class FabricTruth:
    """@dump: a function from the name of a dump to its decoded JSON."""

    def __init__(self, dump):
        ports = dump("ports")
        down = {(row["node"], row["port"]) for row in ports if row["state"] == "down"}
        self.end_ports = {number(row["port_guid"]): row for row in dump("places") if (row["node"], row["port"]) not in down}
        self.peers = {(row["node"], row["port"]): (row["peer"]["node"], row["peer"]["port"])
                      for row in ports if row["peer"]}
        self.lfts = dump("lft")
        self.mfts = dump("mft")
        self.switch_lids = {row["node"]: row["lid"] for row in ports if row["port"] == 0}
        self.pkeys = {(row["node"], row["port"]): [key for key in row["pkeys"] if key & 0x7fff]
                      for row in dump("pkeys")}

    def place(self, guid):
        """(switch, port) in front of an end port."""
        row = self.end_ports[guid]
        return row["peer"]["node"], row["peer"]["port"]

    def links(self):
        """As SA has them: (LID, port, LID, port), both ways, of end ports."""
        found = set()
        for row in self.end_ports.values():
            switch, port = row["peer"]["node"], row["peer"]["port"]
            one, other = (row["lid"], row["port"]), (self.switch_lids[switch], port)
            found |= {one + other, other + one}
        return found

    def walk(self, guid, dlid):
        """Where a packet from @guid to @dlid comes out: the (node, port), or a text that says why nowhere."""
        at = self.place(guid)[0]
        for _ in range(MAX_HOPS):
            entries = self.lfts[at]
            port = entries[dlid] if dlid < len(entries) else 255
            if port == 255:
                return f"{at} has no port for LID {dlid}"
            at, in_port = self.peers.get((at, port), (None, None))
            if at is None:
                return "a port without a cable"
            if at not in self.lfts:
                return at, in_port
        return "a loop"

    def flood(self, guid, mlid):
        """The (node, port) of every copy of a multicast packet that @guid sends."""
        name, copies = f"0x{mlid:x}", []
        ways = [self.place(guid)]
        for _ in range(MAX_HOPS):
            onward = []
            for switch, in_port in ways:
                for port in self.mfts[switch].get(name, []):
                    if port in (in_port, 0):
                        continue
                    peer = self.peers.get((switch, port))
                    if peer and peer[0] in self.lfts:
                        onward.append(peer)
                    elif peer:
                        copies.append(peer)
            ways = onward
            if not ways:
                return copies
        return copies + ["a loop"]
