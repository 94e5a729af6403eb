"""What `deploy/` has to hold: made from the code and from the chart, never by hand."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import yaml

from fairlead.lab.helm import helm
from fairlead.model.config import Config
from fairlead.publish.crds import Definition, ako_definitions, definitions

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "chart" / "fairlead"
NAMESPACE = "fairlead-system"
FREE = (
    "controller.resources",
    "controller.nodeSelector",
    "agent.resources",
    "agent.nodeSelector",
    "agent.updateStrategy",
    "agent.sysctls",
    "fence.resources",
    "fence.bfd.resources",
    "bgp.resources",
)
"""Values that Kubernetes checks."""
KEPT_APART = "--set=fence.existingSecret=fairlead-fence"
"""A key that everybody can read is none, so the plain manifests ask for one."""
HEADER = "# Made from the code; `make golden` writes it anew.\n"
NAMESPACE_OBJECT = """\
apiVersion: v1
kind: Namespace
metadata:
  name: fairlead-system
  labels:
    # Agents are on the network of their nodes.
    pod-security.kubernetes.io/enforce: privileged
"""


def files() -> Iterator[tuple[str, str]]:
    """The files below `deploy/` that are made, and what is in them."""
    own = [(_name(one), _text(one)) for one in definitions()]
    for folder in ("crds", "chart/fairlead/crds"):
        yield from ((f"{folder}/{name}", HEADER + text) for name, text in own)
    yield from ((f"crds/ako/{_name(one)}", HEADER + _text(one)) for one in ako_definitions())
    yield "chart/fairlead/values.schema.json", values_schema()
    parts = [NAMESPACE_OBJECT, *(text for _, text in own)]
    yield "install.yaml", HEADER + "---\n".join(parts) + template(KEPT_APART)


def values_schema() -> str:
    """What Helm checks values by: those of `values.yaml`, with the types that they have there, and
    the configuration as Fairlead itself checks it. So a misspelt one is refused."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    (reference,), known = msgspec.json.schema_components([Config], ref_template="#/$defs/{name}")
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **_value(values, ""),
        "$defs": known,
    }
    schema["properties"] = {**schema["properties"], "config": reference, "global": {}}
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode() + "\n"


def _value(value: Any, path: str) -> dict[str, Any]:
    match value:
        case dict() if value and path not in FREE:
            parts = {key: _value(one, f"{path}.{key}".strip(".")) for key, one in value.items()}
            return {"type": "object", "properties": parts, "additionalProperties": False}
        case dict():
            return {"type": "object"}
        case list():
            return {"type": "array"}
        case bool():
            return {"type": "boolean"}
        case int():
            return {"type": "integer"}
        case str():
            return {"type": "string"}
    raise TypeError(f"{path} has a type that Helm does not know")


def template(*arguments: str, release: str = "fairlead") -> str:
    """What Helm makes of the chart; AssertionError with its words when it refuses."""
    done = run_helm("template", release, str(CHART), "--namespace", NAMESPACE, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_helm(*arguments: str, kubeconfig: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """Run Helm to its end; what it would keep for next time is thrown away."""
    with tempfile.TemporaryDirectory(prefix="fairlead-helm-") as home:
        env = {**os.environ, **{f"HELM_{name}_HOME": home for name in ("CACHE", "CONFIG", "DATA")}}
        env["KUBECONFIG"] = str(kubeconfig or os.devnull)
        argv = [str(helm()), *arguments]
        return subprocess.run(
            argv, capture_output=True, text=True, check=False, env=env, timeout=90
        )


def objects(text: str) -> list[dict[str, Any]]:
    """The objects of some YAML."""
    return [one for one in yaml.safe_load_all(text) if one]


def find(text: str, kind: str, name: str) -> dict[str, Any]:
    """One object of some YAML, which must be there."""
    return next(
        one for one in objects(text) if one["kind"] == kind and one["metadata"]["name"] == name
    )


def _name(definition: Definition) -> str:
    """The usual name of a definition's file: group_plural.yaml."""
    plural, _, group = definition["metadata"]["name"].partition(".")
    return f"{group}_{plural}.yaml"


def _text(definition: Definition) -> str:
    return msgspec.yaml.encode(definition).decode()
