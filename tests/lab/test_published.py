"""What a lab publishes is named as the controller names it, and read by agents as meant."""

from ipaddress import ip_address

import pytest
import yaml

from fairlead.lab.published import objects, virtual_ip, written
from fairlead.model.ledger import Spot
from fairlead.model.virtualip import object_name


@pytest.mark.parametrize("text", ["192.0.2.10", "fd00:2::10", "2001:db8::"])
def test_names_are_the_controllers(text: str) -> None:
    vip = ip_address(text)
    assert virtual_ip(vip, "engine-1")["metadata"]["name"] == object_name(Spot("default", vip))


def test_it_is_yaml_with_everything_in_it() -> None:
    vip = ip_address("192.0.2.10")
    made = objects(engines={"a": "192.0.2.1"}, homes={vip: "a"}, pods=["10.244.0.9"], target=8080)
    kinds = [one["kind"] for one in yaml.safe_load_all(written(made))]
    assert kinds == ["Node", "Service", "EndpointSlice", "VirtualIP"]
