"""The constant part of the table: base chains, one chain per shape of listener, and empty maps and
sets.

What changes from minute to minute (addresses, ports, backends) is in the maps alone, so that a
change never touches a rule. A rule holds only what nftables cannot take from a map: the modulus of
the hash and the time-out of an affinity entry. Hence one chain per :class:`Shape`, made when it is
first needed.

The NAT chains run at -110, before kube-proxy and everything else at ``dstnat`` (-100): NAT is
decided once per hook, so the order must not be an accident. They see exactly the first packet of
each flow, after conntrack, which is where refusals belong too: an input hook would come after a
foreign DNAT of ``fib daddr type local``, and would break IPVS.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

MAX_BACKENDS = 65_535
SEED = 0xFA171EAD
"""Fixed, so that every engine, and every reload, sends a flow to the same backend."""

REFUSE = "pick-0"
MASQUERADE = "as-engine"
NAT_PRIORITY = -110
INPUT_PRIORITY = 110
"""After IPVS, which takes what is its own at 98 and 99."""
_AFFINITY = {
    4: "type ipv4_addr . ipv4_addr . inet_proto . inet_service : classid",
    6: "typeof numgen inc mod 2 . numgen inc mod 2 : meta priority",
}
_SHAPE = re.compile(r"(pick|guard)-(\d+)(?:-([1-9]\d*))?")


class Shape(NamedTuple):
    """What a listener's chain depends on: how many backends, the affinity time-out in seconds (0:
    none) and whether sources are restricted."""

    backends: int
    seconds: int = 0
    guarded: bool = False

    @property
    def chain(self) -> str:
        """The name of its chain."""
        suffix = f"-{self.seconds}" if self.seconds else ""
        return f"{'guard' if self.guarded else 'pick'}-{self.backends}{suffix}"

    def needs(self) -> "tuple[Shape, ...]":
        """The shapes whose chains must exist besides that of ``Shape(0)``, which always does."""
        return (self._replace(guarded=False), self) if self.guarded else (self,)


def shape_of(chain: str) -> Shape | None:
    """The inverse of :attr:`Shape.chain`; None for every other name."""
    match = _SHAPE.fullmatch(chain)
    if not match:
        return None
    shape = Shape(int(match[2]), int(match[3] or 0), match[1] == "guard")
    return shape if shape.chain == chain else None


def skeleton(table: str, shapes: Iterable[Shape], *, dormant: bool = False) -> str:
    """The whole table without elements, as input for ``nft -f``."""
    wanted = {Shape(0), *(need for shape in shapes for need in shape.needs())}
    chains = "".join(_chain(shape.chain, _rules(shape)) for shape in sorted(wanted, key=_age))
    flags = "flags dormant;\n" if dormant else ""
    return f"table inet {table} {{\n{flags}{_sets(4)}{_sets(6)}{chains}{_base()}}}\n"


def new_chains(table: str, shapes: Iterable[Shape]) -> str:
    """Make the chains of some shapes; harmless where one exists already."""
    return "".join(_new_chain(table, shape) for shape in sorted(shapes, key=_age))


def drop_chains(table: str, shapes: Iterable[Shape]) -> str:
    """Remove the chains of shapes that no listener uses any more."""
    names = [shape.chain for shape in sorted(shapes, key=_age, reverse=True)]
    return "".join(f"delete chain inet {table} {name}\n" for name in names)


def stores() -> tuple[tuple[str, str], ...]:
    """Every map and set that holds elements of ours, as (``map`` or ``set``, name). The affinity
    entries are the kernel's own."""
    found = re.findall(r"^(set|map) (\S+)", _sets(4) + _sets(6), flags=re.MULTILINE)
    return tuple((kind, name) for kind, name in found if not name.startswith("affinity"))


def _age(shape: Shape) -> tuple[bool, Shape]:
    return (shape.guarded, shape)  # a guard jumps to the plain chain, which must exist before


def _new_chain(table: str, shape: Shape) -> str:
    name = f"inet {table} {shape.chain}"
    rules = "".join(f"add rule {name} {rule}\n" for rule in _rules(shape))
    return f"add chain {name}\nflush chain {name}\n{rules}"


def _chain(name: str, rules: Iterable[str]) -> str:
    return f"chain {name} {{\n" + "".join(f"{rule}\n" for rule in rules) + "}\n"


def _rules(shape: Shape) -> list[str]:
    if shape.guarded:
        return _guard(shape)
    if not shape.backends:
        return ["meta l4proto tcp reject with tcp reset", "reject with icmpx port-unreachable"]
    # A packet may read the listener before a commit and the backend after it: then its slot may be
    # gone, and it takes the first. Whoever finds none must not fall through to the host.
    last = [*_first(shape, 4), *_first(shape, 6), f"goto {REFUSE}"]
    if shape.seconds:
        # No backend has the largest number, so what others left in the register is no entry.
        start = "meta priority set 0xffffffff"
        return [start, *_sticky(shape, 4), *_sticky(shape, 6), *last]
    return [*_pick(shape, 4), *_pick(shape, 6), *last]


def _ip(family: int) -> str:
    return "ip" if family == 4 else "ip6"


def _hashed(shape: Shape, family: int) -> str:
    """Put a flow's slot into ``meta priority``.

    That is the scratch register here: the packet mark belongs to others, while forwarding IPv4 sets
    the priority anew anyway, and for the rest ``leave`` clears it. (A hash within a key would need
    a ``typeof`` map, which nft 1.0.6 cannot use in a rule that is added later.)
    """
    ip = _ip(family)
    return f"meta priority set jhash {ip} saddr . th sport mod {shape.backends} seed {SEED:#x}"


def _serve(family: int) -> str:
    ip = _ip(family)
    key = f"{ip} daddr . meta l4proto . th dport . meta priority"
    return f"dnat {ip} to {key} map @backends{family}"


def _pick(shape: Shape, family: int) -> list[str]:
    return [_hashed(shape, family), _serve(family)]


def _first(shape: Shape, family: int) -> list[str]:
    ip = _ip(family)
    slot = f"{ip} daddr . meta l4proto . th dport . meta priority"
    lookup = [f"meta priority set {slot} map @slots{family}"] if shape.seconds else []
    return ["meta priority set 0", *lookup, _serve(family)]


def _sticky(shape: Shape, family: int) -> list[str]:
    """Session affinity by client address.

    An entry holds a backend's id, not its slot, so a client stays while other backends come and go;
    an id that has left is found nowhere, and the client is hashed afresh. The entry is deleted
    before it is written because an update leaves the value of a live one alone. With the map full
    the write fails and the hash still serves.
    """
    ip, client = _ip(family), _client(family)
    write = f"update @affinity{family} {{ {client} timeout {shape.seconds}s : meta priority }}"
    slot = f"{ip} daddr . meta l4proto . th dport . meta priority"
    return [
        f"meta priority set {client} map @affinity{family} {write}",
        _serve(family),
        f"delete @affinity{family} {{ {client} : meta priority }}",
        _hashed(shape, family),
        f"meta priority set {slot} map @slots{family}",
        write,
        _serve(family),
    ]


def _client(family: int) -> str:
    """The key of an affinity entry: client and listener. nft 1.0.6 fails an assertion on a key of
    more than 16 bytes in a map statement, so IPv6 is hashed to 64 bits (an accidental pair would at
    most disturb each other's affinity).
    """
    ip = _ip(family)
    key = f"{ip} saddr . {ip} daddr . meta l4proto . th dport"
    if family == 4:
        return key
    return " . ".join(f"jhash {key} mod {2**32 - 1} seed {seed:#x}" for seed in (SEED, SEED + 1))


def _guard(shape: Shape) -> list[str]:
    """``loadBalancerSourceRanges``; the engine's own processes (the only packets with an output
    interface here) are not held back, and strangers get silence, as from kube-proxy."""
    goto = f"goto {shape._replace(guarded=False).chain}"
    keyed = "daddr . meta l4proto . th dport"
    return [
        f"oif != 0 {goto}",
        f"ip {keyed} . ip saddr @sources44 {goto}",
        f"ip6 {keyed} . ip6 saddr @sources66 {goto}",
        "drop",
    ]


def _sets(family: int) -> str:
    addr = f"ipv{family}_addr"
    key = f"{addr} . inet_proto . inet_service"
    sources = "".join(
        f"set sources{family}{other} {{ type {key} . ipv{other}_addr; flags interval; }}\n"
        for other in (4, 6)
    )
    return (
        f"set vips{family} {{ type {addr}; }}\n"
        f"map listeners{family} {{ type {key} : verdict; }}\n"
        f"map backends{family} {{ type {key} . classid : {addr} . inet_service; }}\n"
        f"map slots{family} {{ type {key} . classid : classid; }}\n"
        f"map affinity{family} {{ {_AFFINITY[family]}; flags dynamic,timeout; size 262144; }}\n"
        f"{sources}"
        f"set hairpin{family} {{ type {key} . {addr}; }}\n"
        f"map modes{family} {{ type {key} : verdict; }}\n"
        f"set direct{family} {{ type {key} . {addr} . inet_service; }}\n"
        f"set passed{family} {{ type {key}; }}\n"
    )


def _base() -> str:
    """Base chains and what they enter per family."""
    enter = [f"ct state new {_ip(f)} daddr @vips{f} goto vip{f}" for f in (4, 6)]
    nat = f"priority {NAT_PRIORITY}; policy accept;"
    leave = [f"ct status dnat ct original {_ip(f)} daddr @vips{f} goto leave{f}" for f in (4, 6)]
    invalid = [f"ct state invalid {_ip(f)} daddr @vips{f} drop" for f in (4, 6)]
    stray = [f"ct state new {_ip(f)} daddr @vips{f} goto stray{f}" for f in (4, 6)]
    last = f"priority {INPUT_PRIORITY};"
    return (
        _chain("vip4", _vip(4))
        + _chain("vip6", _vip(6))
        + _chain("prerouting", [f"type nat hook prerouting {nat}", *enter])
        + _chain("output", [f"type nat hook output {nat}", *enter])
        + _chain(MASQUERADE, ["masquerade fully-random"])
        + _chain("leave4", _leave(4))
        + _chain("leave6", _leave(6))
        + _chain("postrouting", ["type nat hook postrouting priority 90; policy accept;", *leave])
        + _chain(
            "invalid", ["type filter hook prerouting priority mangle; policy accept;", *invalid]
        )
        + _chain("stray4", _stray(4))
        + _chain("stray6", _stray(6))
        + _chain("input", [f"type filter hook input {last} policy accept;", *stray])
    )


def _vip(family: int) -> list[str]:
    """A new flow to a VIP: TCP that does not begin with SYN belonged to another engine and gets an
    early RST; then the listeners; ICMP echo is the host's to answer; the rest is refused."""
    ip, icmp = _ip(family), "icmp" if family == 4 else "icmpv6"
    return [
        "tcp flags & (fin|syn|rst|ack) != syn reject with tcp reset",
        f"{ip} daddr . meta l4proto . th dport vmap @listeners{family}",
        f"{icmp} type echo-request accept",
        f"goto {REFUSE}",
    ]


def _stray(family: int) -> list[str]:
    """A flow that passed and that nobody translated, because kube-proxy does not know it yet, or no
    more: it must not reach a daemon of the host."""
    icmp = "icmp" if family == 4 else "icmpv6"
    return [f"{icmp} type echo-request accept", f"goto {REFUSE}"]


def _leave(family: int) -> list[str]:
    """Whether a flow of ours leaves with the engine's address as source; one that passes is left to
    whoever translated it.

    A process of the engine and a backend that reaches itself or a sibling always need it, or the
    answer bypasses the engine. nft 1.0.6 knows the type of ``ct original proto-dst`` only after a
    match on ``meta l4proto``.
    """
    ip = _ip(family)
    key = f"meta l4proto {{ tcp, udp, sctp }} ct original {ip} daddr . meta l4proto"
    key += " . ct original proto-dst"
    return [
        f"{key} @passed{family} accept",
        "meta priority set 0",
        f"fib saddr type local goto {MASQUERADE}",
        f"{key} . {ip} saddr @hairpin{family} goto {MASQUERADE}",
        f"{key} vmap @modes{family}",
        f"{key} . {ip} daddr . th dport @direct{family} accept",
        f"goto {MASQUERADE}",
    ]
