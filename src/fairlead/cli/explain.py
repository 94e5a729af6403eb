"""``fairlead explain``: why an object has what it has."""

from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.cli.access import SYSTEM_NAMESPACE, means_cluster, other_source
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
    Namespace,
    Output,
    State,
    System,
)
from fairlead.cli.output import Format, emit

if TYPE_CHECKING:
    from fairlead.cli.inputs import Decision
    from fairlead.model.names import Ref
    from fairlead.publish.explanation import ExplanationEntry


Subject = Annotated[
    str,
    typer.Argument(
        metavar="OBJECT",
        help="KIND/NAMESPACE/NAME: svc/…, pool/…, vip/ADDRESS.",
        autocompletion=lambda: ["svc/", "pool/", "vip/", "enginegroup/", "node/"],
    ),
]


def explain(
    subject: Subject,
    files: Files = NO_FILES,
    state: State = None,
    config: ConfigFile = None,
    engine: Engine = THIS_HOST,
    namespace: Namespace = "",
    output: Output = Format.TABLE,
    cluster: Cluster = False,
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    system: System = SYSTEM_NAMESPACE,
) -> None:
    """Say why: the verdict of an object, whom it conflicts with, and every pool, address and engine
    that was considered, each with the reason it was or was not taken.

    Without -f: about what `fairlead up` serves, as its state directory tells. With --cluster, or as
    `kubectl fairlead`: about that cluster.

    Example: fairlead explain svc/default/web -f manifests --state /var/lib/fairlead
    """
    from fairlead.cli import inputs
    from fairlead.cli.objects import ref_from
    from fairlead.publish.explanation import text_of

    ref = ref_from(subject, namespace)
    if means_cluster(cluster, kubeconfig, context, other=other_source(files, state)):
        from fairlead.cli.cluster import Where, look

        view = look(Where(kubeconfig, context, system, config))
        ref, decision = ref_from(subject, namespace or view.namespace), view.decision
    elif files:
        decision = inputs.decide(files, state=state, config=config, engine=engine)
    else:
        decision = inputs.running(state or DEFAULT_STATE)
    entry = _explanation(ref, decision)
    emit(entry, output, lambda: text_of(entry))


def _explanation(ref: "Ref", decision: "Decision") -> "ExplanationEntry":
    from fairlead.model.addresses import parse_address
    from fairlead.model.world import EMPTY
    from fairlead.publish import explanation as publish

    plan = decision.plan
    if ref.kind == "VirtualIP":
        try:
            return publish.address_explanation(plan, parse_address(ref.name), decision.holders)
        except ValueError as error:
            raise Failure(f"vip/{ref.name}: {error}") from None
    if ref.kind == "AddressPool":
        for pool in plan.claims.pools:
            if pool.name == ref.name:
                return publish.pool_explanation(plan, pool)
    entry = publish.explanation(plan, ref, decision.holders)
    if entry is not None:
        return entry
    if ref.name in decision.world.tables.get(ref.kind, EMPTY).get(ref.namespace, EMPTY):
        raise Failure(f"{ref} asks for no virtual IP, and nothing is wrong with it")
    raise Failure(f"{ref} is not among the objects that were read")
