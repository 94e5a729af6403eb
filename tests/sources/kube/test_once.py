"""Reading a kind once, from a real API server."""

import asyncio
from pathlib import Path

import pytest

from fairlead.lab.kubernetes import ControlPlane
from fairlead.model.world import Change
from fairlead.sources.kube import ApiClient, ApiError, Watch, kubeconfig_access
from fairlead.sources.kube.once import read_once
from fairlead.sources.kube.resources import AVI_INFRA_SETTINGS, CONFIG_MAPS, SERVICES, watch


def _read(kubeconfig: Path, wanted: Watch, page: int = 500) -> list[Change] | None:
    async def read() -> list[Change] | None:
        async with ApiClient(kubeconfig_access([kubeconfig])) as client:
            return await read_once(client, wanted, page=page)

    return asyncio.run(read())


def _config_maps(space: str, *names: str) -> list[dict[str, object]]:
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": space}}
        for name in names
    ]


@pytest.mark.parametrize("page", [1, 2, 500])
def test_pages_come_to_everything(plane: ControlPlane, space: str, page: int) -> None:
    plane.apply(_config_maps(space, "a", "b", "c"))
    found = _read(plane.kubeconfig, watch(CONFIG_MAPS, namespace=space), page)
    assert found is not None
    assert [change.ref.name for change in found] == ["a", "b", "c"]
    assert all(change.object is not None for change in found)


def test_selectors_hold(plane: ControlPlane, space: str) -> None:
    plane.apply(_config_maps(space, "a", "b"))
    found = _read(plane.kubeconfig, watch(CONFIG_MAPS, namespace=space, fields="metadata.name=b"))
    assert [change.ref.name for change in found or ()] == ["b"]


def test_a_kind_that_is_not_installed_is_none(plane: ControlPlane) -> None:
    plane.kubectl("delete", "crd", "aviinfrasettings.ako.vmware.com", "--ignore-not-found")
    assert _read(plane.kubeconfig, watch(*AVI_INFRA_SETTINGS)) is None


def test_a_missing_right_is_an_error_that_names_it(plane: ControlPlane) -> None:
    with pytest.raises(ApiError, match='User "nobody" cannot list resource "services"') as caught:
        _read(plane.kubeconfig_for("nobody"), watch(SERVICES))
    assert caught.value.forbidden
