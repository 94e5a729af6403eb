"""The configuration: ``fairlead.yaml``, with environment variables over it.

Every key is also a variable (``serviceType`` is ``FAIRLEAD_SERVICE_TYPE``), and kube-vip's own
names are understood, so that its manifests keep working. Unknown keys in the file are errors: a
misspelt key must not be silently without effect. Unknown variables are not, because Kubernetes
itself puts ``FAIRLEAD_...`` ones beside every container when a Service has that name.
"""

import re
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
import ryaml

from fairlead.model.config import Config

PREFIX = "FAIRLEAD_"
KUBE_VIP = {
    "lb_class_name": "loadBalancerClassName",
    "lb_class_only": "loadBalancerClassOnly",
    "lb_class_legacy_handling": "loadBalancerClassLegacyHandling",
    "enable_upnp": "enableUPNP",
    "enableUPNP": "enableUPNP",
}
"""kube-vip's variables, and the keys that they set."""
TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


class ConfigError(Exception):
    """The configuration cannot be used; the message names the file or variable, the key, and
    why."""


def load_config(
    path: Path | None, environ: Mapping[str, str], *, defaults: Mapping[str, Any] | None = None
) -> Config:
    """The configuration from a file (None: there is none) and the environment, which wins.
    ``defaults`` are those of a role, for keys that neither names.

    Raises :class:`ConfigError`.
    """
    values = _file(path) if path is not None else {}
    if path is not None:
        _checked(values, where=str(path))
    for variable, key in variables().items():
        if variable in environ:
            values[key] = _parsed(key, environ[variable])
            _checked({key: values[key]}, where=f"environment variable {variable}")
    return _checked({**(defaults or {}), **values}, where="the configuration")


def config_of(text: str, where: str, defaults: Mapping[str, Any]) -> Config:
    """The configuration in a text that was read elsewhere (``where``), without any environment.

    Raises :class:`ConfigError`.
    """
    values = _values(text, where)
    _checked(values, where=where)
    return _checked({**defaults, **values}, where=where)


def variables() -> dict[str, str]:
    """Environment variable -> the key that it sets; a later one wins over an earlier one."""
    keys = [field.encode_name for field in msgspec.structs.fields(Config)]
    return KUBE_VIP | {PREFIX + re.sub(r"([A-Z]+)", r"_\1", key).upper(): key for key in keys}


def _file(path: Path) -> dict[str, Any]:
    try:
        return _values(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None


def _values(text: str, where: str) -> dict[str, Any]:
    try:
        values = ryaml.load(StringIO(text))
    except ValueError as error:  # InvalidYamlError, which the package does not export to mypy
        raise ConfigError(f"{where} is not YAML: {error}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{where} must hold keys and values, not a {type(values).__name__}")
    return values


def _checked(values: Mapping[str, Any], *, where: str) -> Config:
    try:
        return msgspec.convert(values, Config)
    except msgspec.ValidationError as error:
        text = str(error).replace("Object contains unknown field", "there is no key")
        raise ConfigError(f"{where}: {text.replace('`$.', '`')}") from None


def _parsed(key: str, text: str) -> Any:
    """The value that a variable's text stands for; validation says so when it is none."""
    kind = next(f.type for f in msgspec.structs.fields(Config) if f.encode_name == key)
    if kind is bool:
        return TRUTH.get(text.strip().lower(), text)
    if kind == tuple[str, ...]:
        return [part.strip() for part in text.split(",") if part.strip()]
    if kind is str or not re.fullmatch(r"-?\d{1,18}(\.\d{1,9})?", text):
        return text
    return float(text) if "." in text else int(text)
