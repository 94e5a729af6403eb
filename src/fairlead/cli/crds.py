"""``fairlead crds``: the CustomResourceDefinitions, for `kubectl apply`."""

from enum import StrEnum
from typing import Annotated

import typer

from fairlead.cli.output import write


class Manifest(StrEnum):
    """``-o`` of what is made for kubectl."""

    YAML = "yaml"
    JSON = "json"


def crds(
    ako: Annotated[
        bool,
        typer.Option(
            "--ako",
            help="AKO's AviInfraSetting too, for clusters where AKO never was: with AKO its own "
            "definition is there.",
        ),
    ] = False,
    output: Annotated[
        Manifest, typer.Option("-o", "--output", help="What to print.")
    ] = Manifest.YAML,
) -> None:
    """Print the CustomResourceDefinitions.

    Example: fairlead crds | kubectl apply --server-side -f -
    """
    import msgspec

    from fairlead.publish.crds import ako_definitions, definitions

    made = definitions() + (ako_definitions() if ako else ())
    match output:
        case Manifest.YAML:
            write("---\n".join(msgspec.yaml.encode(one).decode() for one in made))
        case Manifest.JSON:
            whole = {"apiVersion": "v1", "kind": "List", "items": made}
            write(msgspec.json.format(msgspec.json.encode(whole), indent=2).decode() + "\n")
