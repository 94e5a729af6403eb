"""Engine groups: which nodes serve VIPs, and under which names other languages know them.

Without any EngineGroup this host serves alone; a controller, which has no host of its own, then
lets every Node serve. The rule named ``default`` always exists: the group of that name, else every
engine that some group selects.

A Node with Kubernetes' label for it is no engine; only a group whose selector names that label
decides for itself.
"""

from collections.abc import Iterable, Sequence

from fairlead.dialects.reading import accepted, invalid
from fairlead.model.claim import DEFAULT_ENGINES, Engine, EngineRule, Role
from fairlead.model.kube import Node
from fairlead.model.names import Ref
from fairlead.model.objects import EngineGroup, Selector
from fairlead.model.verdict import Verdict

HOSTNAME = "kubernetes.io/hostname"
ROLE = "fairlead.dev/role"
EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"
"""The well-known label of Nodes that load balancers leave out, whatever its value."""


def read_rules(
    groups: Sequence[EngineGroup], nodes: Sequence[Node], *, host: str, leave: bool
) -> dict[str, EngineRule]:
    """Every engine rule by name. ``nodes`` are sorted by name; ``leave``: those that are cordoned
    are to leave their VIPs to others."""
    if not groups:
        return {DEFAULT_ENGINES: _without_groups(nodes, host, leave=leave)}
    rules = {group.name: _rule(group, nodes, leave=leave) for group in groups}
    if DEFAULT_ENGINES not in rules:
        union = {engine.name: engine for rule in rules.values() for engine in rule.engines}
        engines = tuple(union[name] for name in sorted(union))
        rules[DEFAULT_ENGINES] = EngineRule(name=DEFAULT_ENGINES, engines=engines)
    return rules


def read_aliases(groups: Sequence[EngineGroup]) -> tuple[dict[str, str], dict[Ref, Verdict]]:
    """Names and ``seGroups`` aliases -> rule name. An alias that two groups list is the older
    one's."""
    names = {group.name: group.name for group in groups}
    names.setdefault(DEFAULT_ENGINES, DEFAULT_ENGINES)
    verdicts: dict[Ref, Verdict] = {}
    for group in sorted(groups, key=_age):
        for alias in group.spec.se_groups or ():
            owner = names.setdefault(alias, group.name)
            if owner != group.name:
                why = f"already means EngineGroup {owner}; list it in one of them"
                warning = invalid("spec.seGroups", alias, why)
                verdicts.setdefault(group.ref, accepted(group.ref, (warning,)))
    return names, verdicts


def _age(group: EngineGroup) -> tuple[str, str]:
    return group.metadata.creation_timestamp or "", group.name


def _without_groups(nodes: Sequence[Node], host: str, *, leave: bool) -> EngineRule:
    chosen = [node for node in nodes if not host or node.name == host]
    engines = tuple(_engine(node, leave) for node in chosen if not _is_excluded(node))
    if host and not chosen:
        engines = (Engine(host),)
    return EngineRule(name=DEFAULT_ENGINES, engines=engines)


def _rule(group: EngineGroup, nodes: Iterable[Node], *, leave: bool) -> EngineRule:
    spec = group.spec
    selector = spec.node_selector or Selector()
    named = EXCLUDED in _keys(selector)
    return EngineRule(
        name=group.name,
        engines=tuple(
            _engine(node, leave)
            for node in nodes
            if selector.matches(labels_of(node)) and (named or not _is_excluded(node))
        ),
        mode=spec.mode,
        min_scale=spec.min_scale,
        max_scale=spec.max_scale,
        buffer=spec.buffer_engines if spec.mode == "NPlusM" else 0,
        max_vips=spec.max_vips_per_engine,
        failback=spec.failback,
    )


def _engine(node: Node, leave: bool) -> Engine:
    role: Role = "edge" if node.metadata.labels.get(ROLE) == "edge" else "engine"
    return Engine(node.name, node.ready, role, node=True, leaving=leave and node.cordoned)


def _is_excluded(node: Node) -> bool:
    return EXCLUDED in node.metadata.labels


def _keys(selector: Selector) -> frozenset[str]:
    """The labels that a selector names."""
    terms = (term.key for term in selector.match_expressions or ())
    return frozenset((*(selector.match_labels or {}), *terms))


def labels_of(node: Node) -> dict[str, str]:
    """What selectors see of a node."""
    return {HOSTNAME: node.name, **node.metadata.labels}
