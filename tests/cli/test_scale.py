"""`scale` where manifests decide: it says what to write, and does nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Run = Callable[..., Result]
MANIFESTS = """\
apiVersion: fairlead.dev/v1alpha1
kind: AddressPool
metadata: {name: routed}
spec: {addresses: [192.0.2.10-192.0.2.19], announce: bgp}
---
apiVersion: fairlead.dev/v1alpha1
kind: AddressPool
metadata: {name: lan}
spec: {addresses: [198.51.100.10-198.51.100.19], autoAssign: false}
---
apiVersion: v1
kind: Service
metadata: {name: web, annotations: {fairlead.dev/share: a}}
spec: {type: LoadBalancer, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: api, annotations: {fairlead.dev/share: a, fairlead.dev/engines: "3"}}
spec: {type: LoadBalancer, ports: [{port: 81}]}
---
apiVersion: v1
kind: Service
metadata: {name: local, annotations: {fairlead.dev/pool: lan, fairlead.dev/engines: many}}
spec: {type: LoadBalancer, ports: [{port: 80}]}
"""


@pytest.fixture
def manifests(tmp_path: Path) -> Path:
    path = tmp_path / "all.yaml"
    path.write_text(MANIFESTS)
    return path


def test_it_says_where_to_write_it(run: Run, manifests: Path) -> None:
    def told(address: str, engines: int) -> str:
        result = run("scale", f"vip/{address}", "--engines", str(engines), "-f", manifests)
        assert result.exit_code == 2
        (line,) = result.stderr.splitlines()[-1:]
        return line

    shared = told("192.0.2.10", 3)
    assert 'write the annotation fairlead.dev/engines: "3" on each of' in shared
    assert "Service/default/api, Service/default/web" in shared
    assert "remove the annotation" in told("192.0.2.10", 0)
    assert "announce it by bgp too" in told("198.51.100.10", 2)
    assert "no VIP has the address 192.0.2.19" in told("192.0.2.19", 2)
    assert "is no VIP" in run("scale", "svc/web", "--engines", "1", "-f", manifests).stderr


def test_an_annotation_that_makes_no_sense_is_a_warning(run: Run, manifests: Path) -> None:
    told = run("explain", "svc/default/local", "-f", manifests).stdout
    assert "State:      Served" in told
    assert "fairlead.dev/engines 'many' is no number from 1 to 64; it has no effect" in told
