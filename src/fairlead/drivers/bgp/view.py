"""One look at FRR: who speaks, what is said of VIPs, and which routers are in order."""

from collections.abc import Collection, Mapping
from ipaddress import AddressValueError, IPv4Address
from typing import NamedTuple

from fairlead.drivers.bgp import edit, names
from fairlead.drivers.bgp.config import Running, matches
from fairlead.drivers.bgp.render import Wanted
from fairlead.model.addresses import IPAddress
from fairlead.model.desired import BgpSpeaker
from fairlead.model.peers import BgpPeer, BgpRoute


class View(NamedTuple):
    """``speaker``: None when no BGP instance runs, or several. ``kinds``: what is said of VIPs, by
    route-map."""

    bgpd: Running
    bfdd: Running
    speaker: BgpSpeaker | None
    kinds: Mapping[str, BgpRoute]

    def routes(self, local: Collection[IPAddress]) -> dict[IPAddress, BgpRoute]:
        """The VIPs that are announced as we do it, and local."""
        return {one: said for one, said in edit.announced(self.bgpd).items() if one in local}

    def peers(
        self, wanted: Wanted, speaker: BgpSpeaker, peers: Mapping[str, BgpPeer]
    ) -> dict[str, BgpPeer]:
        """Those of the routers that are configured exactly as wanted, BFD included."""
        return {
            name: peer
            for name, peer in peers.items()
            if edit.settled(self.bgpd, wanted.bgpd, speaker, names.neighbour(name, peer))
            and self._timed(wanted, peer)
        }

    def _timed(self, wanted: Wanted, peer: BgpPeer) -> bool:
        path = ("bfd", f"profile {names.profile(peer.bfd)}") if peer.bfd else None
        return path is None or matches(self.bfdd.sections, wanted.bfdd, path)


def look(bgpd: Running, bfdd: Running) -> View:
    """The view of what the daemons run."""
    return View(bgpd, bfdd, _speaker(bgpd), edit.kinds_of(bgpd))


def _speaker(running: Running) -> BgpSpeaker | None:
    instances = edit.speaker_of(running)
    if len(instances) != 1:
        return None
    words = instances[0][0].split()
    identity = next(
        (line.split()[-1] for line in running.sections[instances[0]] if "router-id" in line), ""
    )
    try:
        return BgpSpeaker(int(words[2]), IPv4Address(identity)) if len(words) == 3 else None
    except (ValueError, AddressValueError):
        return None
