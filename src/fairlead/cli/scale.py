"""``fairlead scale``: how many engines hold a VIP."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.cli.access import means_cluster, other_source
from fairlead.cli.failure import Failure
from fairlead.cli.options import (
    DEFAULT_STATE,
    NO_FILES,
    THIS_HOST,
    Cluster,
    ConfigFile,
    Context,
    Engine,
    Files,
    Kubeconfig,
    State,
)
from fairlead.cli.output import write

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fairlead.model.addresses import IPAddress
    from fairlead.model.plan import Vip
    from fairlead.runtime.scaling import Scaled

MOST = 64
Subject = Annotated[
    str,
    typer.Argument(
        metavar="vip/ADDRESS",
        help="The VIP, by one of its addresses.",
        autocompletion=lambda: ["vip/"],
    ),
]
Engines = Annotated[
    int,
    typer.Option(
        "--engines", metavar="N", min=0, max=MOST, help="How many; 0: as its EngineGroup has it."
    ),
]


def scale(
    subject: Subject,
    engines: Engines,
    files: Files = NO_FILES,
    state: State = None,
    config: ConfigFile = None,
    engine: Engine = THIS_HOST,
    cluster: Cluster = False,
    kubeconfig: Kubeconfig = None,
    context: Context = "",
) -> None:
    """Have so many engines hold a VIP at once, and announce it by BGP.

    With --cluster, or as `kubectl fairlead`: writes the annotation `fairlead.dev/engines` on the
    VIP's Services; the right to patch them is needed. Without: says where to write it in the
    manifests.

    Example: fairlead scale vip/192.0.2.10 --engines 3 --cluster
    """
    from fairlead.cli.objects import ref_from

    ref = ref_from(subject, "")
    if ref.kind != "VirtualIP":
        raise Failure(f"{subject!r} is no VIP; write vip/ADDRESS")
    if means_cluster(cluster, kubeconfig, context, other=other_source(files, state)):
        done = _scaled(kubeconfig, context, ref.name, engines)
        members = ", ".join(map(str, done.members))
        number = f"{engines} engines" if engines else "engines as its group has it"
        write(f"virtualip/{done.name} scaled: {number} (on {members})\n")
        return
    from fairlead.cli import inputs

    if files:
        decision = inputs.decide(files, state=state, config=config, engine=engine)
    else:
        decision = inputs.running(state or DEFAULT_STATE)
    found = _find(ref.name, decision.plan.vips())
    raise Failure(_advice(found, engines))


def _scaled(kubeconfig: Path | None, context: str, name: str, engines: int) -> "Scaled":
    import asyncio

    from fairlead.cli.access import access_of
    from fairlead.runtime.scaling import Unscalable
    from fairlead.runtime.scaling import scale as ask
    from fairlead.sources.kube import ApiClient, ApiError, Unreachable

    async def work() -> "Scaled":
        async with ApiClient(access_of(kubeconfig, context)) as client:
            return await ask(client, name, engines)

    try:
        return asyncio.run(work())
    except (ApiError, Unreachable, Unscalable) as error:
        raise Failure(str(error)) from None


def _find(name: str, vips: "Iterable[Vip]") -> "Vip":
    from fairlead.model.addresses import parse_address

    try:
        address: IPAddress = parse_address(name)
    except ValueError as error:
        raise Failure(f"vip/{name}: {error}") from None
    for vip in vips:
        if address in vip.addresses:
            return vip
    raise Failure(f"no VIP has the address {name}: 'fairlead get vips' lists them")


def _advice(vip: "Vip", engines: int) -> str:
    """What to do where manifests are the only truth."""
    from fairlead.dialects.scale import ANNOTATION

    members = ", ".join(map(str, vip.members))
    if not engines:
        return f"manifests decide here: remove the annotation {ANNOTATION} from {members}"
    which = "each of " if len(vip.members) > 1 else ""
    text = f'manifests decide here: write the annotation {ANNOTATION}: "{engines}" on {which}'
    lan = "; it is announced by l2, where an address has one holder, so announce it by bgp too"
    return text + members + (lan if vip.announce == "l2" and engines > 1 else "")
