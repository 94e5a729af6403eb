"""The L4 data plane: one nftables table of our own that turns VIPs into backends.

Steady changes are one small transaction each, computed from what was committed before; the table
is read back at the start, in the full round and after an error. A damaged table (a rule, chain,
map or the whole of it gone or edited) is observed as empty, and the next :meth:`NftDriver.apply`
or :meth:`NftDriver.prune` puts a new one in its place in one transaction, so the ordinary loop of
observe, diff and apply repairs everything, and traffic sees no gap.

Established TCP and SCTP flows to a removed backend go on; those of a removed listener or VIP end
(their next packet gets RST), and so do UDP flows to a removed backend.
"""

from typing import TYPE_CHECKING

from fairlead.drivers.base import DriverError
from fairlead.drivers.nft.client import NftClient
from fairlead.drivers.nft.conntrack import Stale, end_flows
from fairlead.drivers.nft.elements import elements, shape, vip_element
from fairlead.drivers.nft.netlink import Netlink
from fairlead.drivers.nft.observe import assemble, parse_listing
from fairlead.drivers.nft.render import exchange, rebuild, remove
from fairlead.drivers.nft.schema import drop_chains, new_chains, stores
from fairlead.drivers.nft.state import Known, Step, live, possible, stale_flows, steps
from fairlead.drivers.nft.structure import Reference, exists, fingerprint, generation, shapes_in
from fairlead.drivers.nft.sysctl import ensure_forwarding
from fairlead.model.desired import L4Changes, L4Desired

if TYPE_CHECKING:
    from fairlead.model.addresses import IPAddress
    from fairlead.model.desired import L4Key


class NftDriver:
    """Drives one table in one network namespace. One caller at a time."""

    name = "nft"

    def __init__(
        self, *, table: str = "fairlead", netns: str | None = None, ends_flows: bool = True
    ) -> None:
        """``netns``: a named namespace to work in; None is this process's own. ``ends_flows``: not
        where all flows are somebody else's (listeners that pass)."""
        self._table = table
        self._ends_flows = ends_flows
        self._netns = netns
        self._client = NftClient(netns=netns)
        self._link = Netlink(netns=netns)
        self._reference = Reference(table=table, client=self._client, link=self._link)
        self._known: Known | None = None
        self._held: set[IPAddress] = set()  # VIPs whose flows are still to be ended
        self._owed: set[L4Key] = set()  # and listeners; an error may come in between
        self._checked: int | None = None  # the generation in which the structure was last read
        self._generation: int | None = None  # up to which every commit is known
        self._forwarding: set[int] = set()

    def observe(self) -> L4Desired:
        """What is really there; nothing, if the table is missing or damaged. Raises
        DriverError."""
        return self._look().desired()

    def apply(self, changes: L4Changes) -> None:
        """Make changes, each listener's in one transaction, and end the flows that must not go on.
        Raises DriverError; for a listener that no table can hold, after all others are there."""
        changes, wrong = possible(changes)
        self._apply(changes)
        if wrong:
            raise DriverError("; ".join(wrong))

    def _apply(self, changes: L4Changes) -> None:
        known = self._known or self._look()
        stale = stale_flows(known, changes)
        self._owed |= stale.keys()
        for family in {key.address.version for key in changes.listeners}:
            self._forward(family)
        if known.rebuild:
            known.record(changes)
            self._rebuild(known)
        else:
            for step in steps(known, changes):
                self._take(known, step)
        late = {key: live(known.rows.get(key)) for key in self._owed - stale.keys()}
        self._end(Stale(listeners=stale | late, vips=frozenset(self._held - known.vips)))

    def prune(self, desired: L4Desired) -> None:
        """Remove every listener, VIP and chain that ``desired`` does not use. Raises
        DriverError."""
        known = self._known if self._known and not self.disturbed() else self._look()
        if known.rebuild and not desired.listeners and not desired.vips:
            self.withdraw()
            return
        if known.rebuild:
            self.apply(L4Changes(listeners=dict(desired.listeners), vips_added=desired.vips))
            return
        gone = known.rows.keys() - desired.listeners.keys()
        changes = L4Changes(
            listeners=dict.fromkeys(gone), vips_removed=frozenset(known.vips - desired.vips)
        )
        if changes:
            self.apply(changes)
        self._sweep(known)

    def withdraw(self) -> None:
        """Delete the table and every flow of its VIPs. Raises DriverError."""
        known = self._known or self._look()
        self._commit(remove(self._table) + remove(self._reference.table))
        self._known = None
        self._end(Stale(listeners={}, vips=frozenset(known.vips | self._held)))

    def intact(self) -> bool:
        """Whether the table is there, active, with exactly our chains, rules and sets (elements
        aside). Raises DriverError."""
        if not exists(self._link, self._table):
            return False
        shapes = shapes_in(self._link, self._table)
        right = self._reference.fingerprint(shapes)
        self._checked = generation(self._link)
        return fingerprint(self._link, self._table) == right

    def disturbed(self) -> bool:
        """Whether somebody else committed to nftables since our last commit or look *and* the
        table is not intact any more. Cheap (0.1 ms) while nobody commits; elements edited by hand
        show in the next full round only. Raises DriverError."""
        now = generation(self._link)
        if now == self._generation:
            return False
        if not self.intact():
            return True
        self._generation = self._checked
        return False

    def close(self) -> None:
        """End the helper process and close the socket; the table stays. Idempotent."""
        self._client.close()
        self._link.close()

    def _look(self) -> Known:
        """Read the table anew."""
        self._known = None
        if not self.intact():
            self._known = Known(rebuild=True)
            return self._known
        listed = (parse_listing(name, self._list(kind, name)) for kind, name in stores())
        seen = assemble(one for part in listed for one in part)
        self._held |= seen.vips
        self._known = Known(
            rows=seen.rows,
            vips=set(seen.vips),
            damaged=seen.damaged,
            strays=seen.strays,
            shapes=set(shapes_in(self._link, self._table)),
        )
        self._generation = self._checked
        return self._known

    def _list(self, kind: str, name: str) -> bytes:
        return self._client.run(f"list {kind} inet {self._table} {name}\n", json=True)

    def _take(self, known: Known, step: Step) -> None:
        """Commit one step and remember it."""
        text = new_chains(self._table, step.shapes)
        text += exchange(self._table, out=step.out, into=step.into)
        if text:
            self._commit(text)
        known.record(step.changes)
        self._held |= known.vips

    def _rebuild(self, known: Known) -> None:
        """Put a whole new table in the place of what is there."""
        self._held |= known.vips
        into = [vip_element(address) for address in known.vips]
        for key, row in known.rows.items():
            into += elements(key, row)
        shapes = {need for row in known.rows.values() for need in shape(row).needs()}
        self._commit(rebuild(self._table, shapes, into))
        known.shapes |= shapes
        known.rebuild = False

    def _sweep(self, known: Known) -> None:
        """Remove chains without a listener, and elements of no conceivable one."""
        unused = known.unused_shapes()
        text = exchange(self._table, out=known.strays, into=()) + drop_chains(self._table, unused)
        if text:
            self._commit(text)
        known.shapes -= unused
        known.strays = frozenset()

    def _commit(self, text: str) -> None:
        """Run one transaction; after an error nothing is known any more."""
        before = generation(self._link)
        try:
            self._client.run(text)
        except DriverError:
            self._known = None
            raise
        # Somebody else's commit in between must stay visible to `disturbed`.
        after = generation(self._link)
        if before == self._generation and after - before <= 1:
            self._generation = after

    def _end(self, stale: Stale) -> None:
        if stale and self._ends_flows:
            end_flows(self._link, stale)
        self._held -= stale.vips
        self._owed.clear()

    def _forward(self, family: int) -> None:
        if family not in self._forwarding:
            ensure_forwarding(family, netns=self._netns)
            self._forwarding.add(family)
