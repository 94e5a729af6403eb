"""Tables: aligned like kubectl's, and true to the plan."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fairlead.model.objects import EngineSpec
from fairlead.publish import inventory, tables
from fairlead.publish.age import age, duration
from fairlead.publish.report import report

NOW = datetime(2026, 11, 21, tzinfo=UTC)
Example = Callable[[str], Any]


def test_columns_are_aligned_and_lines_end_without_blanks() -> None:
    text = tables.table(["NAME", "STATE", "WHY"], [["a", "", "because"], ["longer-name", "x", ""]])
    assert text == (
        "NAME          STATE    WHY\n"
        "a             <none>   because\n"
        "longer-name   x\n"
    )  # fmt: skip


def test_services_look_as_kubectl_shows_them(example: Example) -> None:
    found = example("ako-shared-vip")
    text = tables.services(found.document.services, found.world.service, now=NOW, namespaced=False)
    header, first, second = text.splitlines()
    assert header.split() == [
        "NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE", "STATE", "REASON",
    ]  # fmt: skip
    assert first.split()[:5] == [
        "sharedvip-avisvc-lb1", "LoadBalancer", "<none>", "100.64.196.61", "80/TCP",
    ]  # fmt: skip
    assert second.split()[3:5] == ["100.64.196.61", "80/UDP"]


def test_node_ports_stand_beside_their_ports(example: Example) -> None:
    found = example("vcd-shared-external-ip")
    text = tables.services(found.document.services, found.world.service, now=NOW)
    assert "80:30080/TCP,443:30443/TCP" in text
    assert text.startswith("NAMESPACE   ") or text.startswith("NAMESPACE")


def test_what_waits_is_pending_and_what_is_ignored_has_none(example: Example) -> None:
    found = example("kube-vip-shared-ip")
    text = tables.services(found.document.services, found.world.service, now=NOW)
    rows = {row.split()[1]: row.split() for row in text.splitlines()[1:]}
    assert rows["nginx-dhcp"][4] == "<pending>"
    assert rows["http3"][4] == "<none>"


def test_translations_say_where_they_lead(example: Example) -> None:
    found = example("vcd-internal-ip-per-port")
    text = tables.vips(found.document.vips, {}, now=NOW)
    assert "80/TCP→192.168.8.2:80" in text
    assert "443/TCP(2)" in text
    assert "AGE" not in text


def test_a_vip_is_as_old_as_its_address(example: Example) -> None:
    found = example("ako-shared-vip")
    since = {"100.64.196.61": NOW - timedelta(days=6, hours=23)}
    text = tables.vips(found.document.vips, since, now=NOW)
    assert text.splitlines()[1].endswith("   6d23h")


def test_pools_show_the_room_of_each_family(settle: Callable[..., Any]) -> None:
    text = """
apiVersion: fairlead.dev/v1alpha1
kind: AddressPool
metadata: {name: p}
spec: {addresses: [192.0.2.0/29, "fd00::/64"], networks: [net]}
---
apiVersion: v1
kind: Node
metadata: {name: n}
status: {addresses: [{type: InternalIP, address: 192.0.2.3}]}
---
apiVersion: v1
kind: Service
metadata: {name: a}
spec: {type: LoadBalancer, ports: [{port: 80}], ipFamilies: [IPv4]}
"""
    (pool,) = inventory.pools(settle(text).plan)
    four, six = pool.families
    assert (four.family, four.size, four.used, four.free) == ("IPv4", 6, 1, 4)
    assert (six.family, six.size, six.used) == ("IPv6", float(1 << 64), 0)
    assert pool.networks == ["net"]
    shown = tables.pools([pool]).splitlines()
    assert shown[1].split()[:5] == ["p", "IPv4", "6", "1", "4"]
    assert shown[2].split()[:3] == ["p", "IPv6", "1.84e+19"]


def test_engines_show_their_load(example: Example) -> None:
    found = example("vcd-internal-ip-per-port")
    (engine,) = inventory.engines(found.plan, found.document.vips)
    assert (engine.name, engine.ready, engine.active, engine.standby) == ("here", True, 3, 0)
    assert tables.engines([engine]).splitlines()[1].split()[:4] == ["here", "True", "engine", "3"]
    rival = "192.0.2.10 02:00:00:00:00:99 eth0"
    said = EngineSpec(problems=("no bfdd answers",), rivals=(rival, "nonsense"))
    (engine,) = inventory.engines(found.plan, found.document.vips, {"here": said})
    assert engine.problems == [
        "no bfdd answers",
        "192.0.2.10: also used by 02:00:00:00:00:99 on eth0",
    ]


def test_rejections_and_changes_are_one_line_each(example: Example) -> None:
    mismatch = example("ako-mismatch").document
    lines = tables.rejections(mismatch.rejections).splitlines()
    assert len(lines) == 3
    assert "Service/default/sharedvip-avisvc-lb2" in lines[1]
    (line,) = tables.changes(example("ako-shared-vip").document.changes).splitlines()
    assert line.startswith("+ VirtualIP/100.64.196.61: ")


def test_the_report_ends_with_the_counts(example: Example) -> None:
    found = example("ako-mismatch")
    text = report(found.document, found.world, now=NOW)
    assert text.splitlines()[-1] == (
        "2 services, 0 VIPs, 0 addresses, 2 rejected, 0 pending, 0 changes"
    )
    assert "Service/default/sharedvip-avisvc-lb1: StaticAddressMismatch: " in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (130, "2m10s"),
        (17 * 60 + 5, "17m"),
        (3 * 3600, "3h"),
        (3 * 3600 + 25 * 60, "3h25m"),
        (47 * 3600, "47h"),
        (2 * 86400, "2d"),
        (6 * 86400 + 23 * 3600, "6d23h"),
        (30 * 86400 + 3600, "30d"),
        (3 * 365 * 86400 + 40 * 86400, "3y40d"),
        (9 * 365 * 86400 + 40 * 86400, "9y"),
    ],
)
def test_durations_are_those_of_kubectl(seconds: int, text: str) -> None:
    assert duration(timedelta(seconds=seconds)) == text


def test_an_age_needs_a_time_that_makes_sense() -> None:
    assert age("2026-11-20T23:59:30Z", NOW) == "30s"
    assert age("2026-11-20T23:59:30", NOW) == "30s"
    assert age(None, NOW) == age("yesterday", NOW) == "<unknown>"
