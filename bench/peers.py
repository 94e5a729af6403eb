"""What the peers do in the same situations, measured by others: printed beside Fairlead's figures.

Source: measurements of 2026-11 on one Debian 12 machine with two cores: three node namespaces and a
client, kube-apiserver 1.34, 10 VIPs, an ARP request for each every 20 ms, 3 to 5 repetitions
(docs/benchmarks.md, "Known figures of others"). Medians over the VIPs of the node that failed.
"""

from collections.abc import Iterator

from bench.figure import Figure

PEERS = (
    ("crash.kube_vip.lease_15_10_2", 16_500, "ms"),
    ("crash.kube_vip.lease_5_3_1", 5_700, "ms"),
    ("crash.metallb", 6_400, "ms"),
    ("crash.keepalived", 320, "ms"),
    ("back.doubles.kube_vip", 6_100, "ms"),
    ("back.doubles.metallb", 44_000, "ms"),
    ("drain.kube_vip", 830, "ms"),
    ("rest.requests.kube_vip.20", 23, "a second, 3 nodes"),
    ("rest.requests.kube_vip.200", 224, "a second, 3 nodes"),
    ("rest.rss.kube_vip.200", 80, "MB"),
    ("rest.rss.metallb_speaker.200", 63, "MB"),
)


def figures() -> Iterator[Figure]:
    """Each as one that nothing is measured against."""
    for name, value, unit in PEERS:
        yield Figure(f"peer.{name}", value, unit)
