"""The users' documents, word for word, and what they say comes of them."""

from ipaddress import ip_address

import pytest

from fairlead.model.claim import InternalTier
from fairlead.model.names import GroupKey
from tests.dialects.make import backends_in, claim_in, claims_of

SHARED_VIP = """\
apiVersion: v1
kind: Service
metadata:
  annotations:
    ako.vmware.com/enable-shared-vip: "shared-vip-key-1"
  name: sharedvip-avisvc-lb1
  namespace: default
spec:
  type: LoadBalancer
  ports:
  - port: 80
    targetPort: 8080
  selector:
    app: avi-server
---
apiVersion: v1
kind: Service
metadata:
  annotations:
    ako.vmware.com/enable-shared-vip: "shared-vip-key-1"
  name: sharedvip-avisvc-lb2
  namespace: default
spec:
  type: LoadBalancer
  ports:
  - port: 80
    protocol: UDP
    targetPort: 8080
  selector:
    app: avi-server
"""
PREFERRED_VIP = """\
 apiVersion: v1
 kind: Service
 metadata:
   annotations:
     ako.vmware.com/enable-shared-vip: "shared-vip-key-1"
   name: sharedvip-avisvc-lb1
   namespace: default
 spec:
   type: LoadBalancer
   loadBalancerIP: 100.64.196.75
   ports:
   - port: 80
     targetPort: 8080
   selector:
     app: avi-server
 ---
 apiVersion: v1
 kind: Service
 metadata:
   annotations:
     ako.vmware.com/enable-shared-vip: "shared-vip-key-1"
   name: sharedvip-avisvc-lb2
   namespace: default
 spec:
   type: LoadBalancer
   loadBalancerIP: 100.64.196.75
   ports:
   - port: 80
     protocol: UDP
     targetPort: 8080
   selector:
     app: avi-server
"""
POD = """\
kind: Pod
metadata: {name: avi-server-1, namespace: default, labels: {app: avi-server}}
spec: {nodeName: node-1}
status: {podIP: 10.244.1.5, conditions: [{type: Ready, status: "True"}]}
"""
SHARED_KEY = GroupKey("ako", "shared-vip", "default", "shared-vip-key-1")
LB1, LB2 = "sharedvip-avisvc-lb1", "sharedvip-avisvc-lb2"


def test_document_000_both_services_are_one_group() -> None:
    claims = claims_of(SHARED_VIP, POD)
    one, two = claim_in(claims, LB1), claim_in(claims, LB2)
    assert one.group == two.group == SHARED_KEY
    assert one.dialect == "ako"
    assert [(p.protocol, p.port) for p in one.listeners + two.listeners] == [
        ("TCP", 80),
        ("UDP", 80),
    ]
    assert backends_in(one) == backends_in(two) == ["10.244.1.5:8080@node-1"]


def test_document_000_the_preferred_address_is_the_static_wish_of_both() -> None:
    claims = claims_of(PREFERRED_VIP.replace("\n ", "\n").lstrip())
    wishes = [claim_in(claims, name).addresses for name in (LB1, LB2)]
    assert wishes == [(ip_address("100.64.196.75"),)] * 2
    assert claim_in(claims, LB1).group == SHARED_KEY


# What `kubectl expose deployment test-deploy --port=80 --target-port=80 --type=LoadBalancer
# --name http1 --load-balancer-ip=192.168.0.220` makes, and the same for http2.
EXPOSED = """\
kind: Service
metadata: {name: http1}
spec:
  type: LoadBalancer
  loadBalancerIP: 192.168.0.220
  selector: {app: test-deploy}
  ports: [{port: 80, protocol: TCP, targetPort: 80}]
---
kind: Service
metadata: {name: http2}
spec:
  type: LoadBalancer
  loadBalancerIP: 192.168.0.220
  selector: {app: test-deploy}
  ports: [{port: 81, protocol: TCP, targetPort: 80}]
"""
LOCAL = """\
apiVersion: v1
kind: Service
metadata:
  name: nginx-service
spec:
  selector:
    app: nginx
  ports:
    - port: 80
      targetPort: 80
  externalTrafficPolicy: Local
  type: LoadBalancer
"""
DHCP = """\
apiVersion: v1
kind: Service
metadata:
  name: nginx-dhcp
  annotations:
    kube-vip.io/loadbalancerHostname: mydhcp-test
spec:
  loadBalancerIP: 0.0.0.0
  ports:
  - name: http
    port: 80
    protocol: TCP
    targetPort: 80
  selector:
    app: hello-world
  type: LoadBalancer
"""


def test_document_002_the_address_is_the_group() -> None:
    claims = claims_of(EXPOSED)
    for name, port in (("http1", 80), ("http2", 81)):
        claim = claim_in(claims, name)
        assert claim.dialect == "kube-vip"
        assert claim.group is None
        assert claim.addresses == (ip_address("192.168.0.220"),)
        assert claim.outside_pools
        assert [p.port for p in claim.listeners] == [port]


def test_document_002_local_policy() -> None:
    assert claim_in(claims_of(LOCAL), "nginx-service").local


def test_document_002_dhcp_asks_for_a_lease() -> None:
    claim = claim_in(claims_of(DHCP), "nginx-dhcp")
    assert claim.dhcp is not None
    assert claim.dhcp.families == (4,)
    assert claim.dhcp.hostname == "mydhcp-test"
    assert claim.addresses == ()


CCM = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: vcloud-ccm-configmap
  namespace: kube-system
data:
  vcloud-ccm-config.yaml: "vcd:\\n  host: https://my-vcd-endpoint\\n  org: my-org\\n
    \\ vdc: my-vdc\\nloadbalancer:\\n  network: my-network\\n
    \\ vipSubnet: 80.81.82.80/28\\n  enableVirtualServiceSharedIP: true\\n  ports:\\n
    \\   http: 80\\n    https: 443\\n  certAlias: NO_RDE_de59e3aa-a3d9-406d-bf65-7b385c7c99d3-cert\\nclusterid:
    NO_RDE_de59e3aa-a3d9-406d-bf65-7b385c7c99d3 \\nvAppName: my-cluster\\n"
"""  # noqa: E501
INGRESS = """\
kind: Service
metadata: {name: ingress, namespace: web}
spec:
  type: LoadBalancer
  ports:
  - {name: http, port: 80, nodePort: 30080}
  - {name: https, port: 443, nodePort: 30443}
---
kind: Node
metadata: {name: worker-1}
status: {addresses: [{type: InternalIP, address: 10.0.0.11}]}
---
kind: Node
metadata: {name: cp-1, labels: {node-role.kubernetes.io/control-plane: ""}}
status: {addresses: [{type: InternalIP, address: 10.0.0.10}]}
"""
SHARED = "enableVirtualServiceSharedIP: true\\n"
BLOCK = "  oneArm:\\n    startIP: 192.168.8.2\\n    endIP: 192.168.8.100\\n"
ENABLED = "  oneArm:\\n    enabled: true\\n"
DISABLED = "  oneArm:\\n    enabled: false\\n"


@pytest.mark.parametrize(
    ("flags", "internal"),
    [
        (SHARED, None),
        (SHARED + DISABLED, None),
        (SHARED + BLOCK, InternalTier("vcd-one-arm", per_listener=False)),
        (SHARED + ENABLED, InternalTier("vcd-one-arm", per_listener=False)),
        (SHARED.replace("true", "false"), InternalTier("vcd-one-arm", per_listener=True)),
        (SHARED.replace("true", "false") + BLOCK, InternalTier("vcd-one-arm", per_listener=True)),
        (SHARED.replace("true", "false") + DISABLED, InternalTier("vcd-one-arm", True)),
        ("", InternalTier("vcd-one-arm", per_listener=True)),
    ],
)
def test_document_004_the_scenarios(flags: str, internal: InternalTier | None) -> None:
    # The document's text continues one quoted line, so the flag's own indentation is kept.
    claims = claims_of(CCM.replace(f"  {SHARED}", f"  {flags}" if flags else ""), INGRESS)
    claim = claim_in(claims, "web/ingress")
    assert claim.dialect == "vcd"
    assert claim.group == GroupKey("vcd", "service", "web", "ingress")
    assert claim.internal == internal
    assert claim.pools == ("vcd-external",)
    assert backends_in(claim, 80) == ["10.0.0.11:30080@worker-1"]
    assert backends_in(claim, 443) == ["10.0.0.11:30443@worker-1"]
    names = {pool.name: pool for pool in claims.pools}
    assert names["vcd-external"].size(4) == 14
    assert not names["vcd-external"].auto_assign
    assert ("vcd-one-arm" in names) == (internal is not None)
