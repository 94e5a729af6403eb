"""BGPPeer: a router that learns VIPs."""

from fairlead.model.objects import BFDTimers, BGPPeer, BGPPeerSpec
from fairlead.publish.crds.conditions import IN_USE, WHY_NOT, status
from fairlead.publish.crds.convert import Extras
from fairlead.publish.crds.definition import AGE, Column, Definition, Names, Shape, definition
from fairlead.publish.crds.rules import ADDRESS, SELECTORS, rule, rules, value, value_rule

_ADDRESS = value(BGPPeerSpec, "address")
_RANGE = value(BGPPeerSpec, "listen_range")
_HOLD = value(BGPPeerSpec, "hold_seconds")
_KEEPALIVE = value(BGPPeerSpec, "keepalive_seconds")
_HOPS = value(BGPPeerSpec, "ebgp_multihop")

_EXTRAS: Extras = {
    **SELECTORS,
    (BGPPeerSpec, ""): rules(
        rule(f"({_ADDRESS} != '') != ({_RANGE} != '')", "give either address or listenRange"),
        rule(
            f"{_HOLD} >= 3 * {_KEEPALIVE}",
            "holdSeconds must be at least three times keepaliveSeconds",
        ),
        rule(
            f"{_HOPS} == 0 || self.peerAsn != self.localAsn",
            "ebgpMultihop is for eBGP: peerAsn and localAsn are the same",
        ),
    ),
    (BGPPeerSpec, "peer_asn"): {"description": "The AS number of the router."},
    (BGPPeerSpec, "local_asn"): {"description": "The AS number of the engines."},
    (BGPPeerSpec, "address"): {
        "description": "The router's address; or give listenRange.",
        "maxLength": ADDRESS,
    }
    | rules(value_rule("self == '' || isIP(self)", "is no IP address")),
    (BGPPeerSpec, "listen_range"): {
        "description": "A CIDR: routers connect from it; or give address.",
        "maxLength": ADDRESS + 4,
    }
    | rules(value_rule("self == '' || isCIDR(self)", "is no CIDR")),
    (BGPPeerSpec, "port"): {"description": "The router's TCP port; 179 by default."},
    (BGPPeerSpec, "password"): {"description": "Where the TCP MD5 password is kept."},
    (BGPPeerSpec, "ebgp_multihop"): {
        "description": "How many hops away an eBGP router may be; 0 by default: next to us.",
    },
    (BGPPeerSpec, "keepalive_seconds"): {"description": "3 by default."},
    (BGPPeerSpec, "hold_seconds"): {
        "description": "9 by default; at least three times keepaliveSeconds.",
    },
    (BGPPeerSpec, "bfd"): {"description": "True by default: BFD tells of a dead session."},
    (BGPPeerSpec, "bfd_timers"): {
        "description": "How fast BFD notices, in milliseconds; 3 packets of 100 ms by default.",
    },
    (BFDTimers, "transmit"): {"description": "Milliseconds between packets sent; 100 by default."},
    (BFDTimers, "receive"): {"description": "The same of packets received; 100 by default."},
    (BFDTimers, "multiplier"): {"description": "How many packets must be missing; 3 by default."},
    (BGPPeerSpec, "communities"): {
        "description": "Sent with every VIP: a:b, a:b:c or a well-known name.",
        "maxItems": 64,
    },
    (BGPPeerSpec, "communities[]"): {"maxLength": 32},
    (BGPPeerSpec, "local_preference"): {
        "description": "Sent with every VIP to an iBGP router; the router's own default without.",
    },
    (BGPPeerSpec, "as_path_prepend"): {
        "description": "How often localAsn is put before the path once more; 0 by default.",
    },
    (BGPPeerSpec, "graceful_restart"): {
        "description": "True by default: the router keeps the routes while our daemon restarts.",
    },
    (BGPPeerSpec, "labels"): {"description": "What AKO's bgpPeerLabels select it by."},
}

_COLUMNS = (
    Column("Address", ".spec.address"),
    Column("Listen-Range", ".spec.listenRange"),
    Column("Peer-ASN", ".spec.peerAsn", "integer"),
    Column("Local-ASN", ".spec.localAsn", "integer"),
    IN_USE,
    Column("BFD", ".spec.bfd", "boolean", wide=True, about="Empty: true."),
    Column("Labels", ".spec.labels", wide=True),
    WHY_NOT,
    AGE,
)


def peers(versions: tuple[str, ...]) -> Definition:
    """The definition of BGPPeer."""
    names = Names("bgppeers", short=("fbgp",), categories=("fairlead",))
    return definition(names, Shape(BGPPeer, _EXTRAS, _COLUMNS, status()), versions)
