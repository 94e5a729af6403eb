"""``fairlead lab``: real networks in namespaces, to try things on without touching the host's."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.cli.failure import Failure, need_root
from fairlead.cli.options import Output
from fairlead.cli.output import Format, emit, note

if TYPE_CHECKING:
    from fairlead.lab import LabInfo, Subnet

app = typer.Typer(
    help="Networks of namespaces on this machine: clients, engines, nodes, pods; no way out.",
    no_args_is_help=True,
)
Name = Annotated[str, typer.Argument(help="The lab's name.")]


def _count(what: str, default: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        help=f"How many {what}.", min=0, max=200, show_default=default
    )
    return option


@app.command()
def up(
    name: Name = "lab",
    kubernetes: Annotated[
        bool,
        typer.Option(
            "--kubernetes",
            help="A Kubernetes cluster: a control host, nodes, clients. API server, controllers, "
            "scheduler and kube-proxy are the real ones; pods are processes in namespaces.",
        ),
    ] = False,
    clients: Annotated[int, _count("clients", "1")] = 1,
    engines: Annotated[int | None, _count("engines", "1")] = None,
    edges: Annotated[int | None, _count("edges (they do the DNAT of VCD)", "0")] = None,
    nodes: Annotated[int | None, _count("cluster nodes", "0; with --kubernetes 2")] = None,
    pods: Annotated[int | None, _count("pods", "2")] = None,
    kube_proxy: Annotated[
        bool, typer.Option(help="With --kubernetes: serve ClusterIPs and the rest on the nodes.")
    ] = True,
    lan: Annotated[
        list[str] | None,
        typer.Option(help="Subnets of the LAN.", metavar="CIDR", show_default="192.0.2.0/24"),
    ] = None,
) -> None:
    """Build a lab that stays until `fairlead lab down`.

    Example: fairlead lab up try --engines 2 --pods 3 --lan 100.64.196.0/24

    Example: fairlead lab up try --kubernetes --nodes 3
    """
    need_root("a lab", "lab up")
    from fairlead import lab as labs

    subnets = lan or labs.layout.DEFAULT_LAN
    try:
        if kubernetes:
            if not engines == edges == pods is None:
                raise Failure("--engines, --edges and --pods do not go with --kubernetes")
            _cluster_up(name, nodes=nodes, clients=clients, kube_proxy=kube_proxy, lan=subnets)
            return
        topology = labs.cluster(
            lan=subnets,
            clients=clients,
            engines=1 if engines is None else engines,
            edges=edges or 0,
            nodes=nodes or 0,
            pods=2 if pods is None else pods,
        )
        info = labs.up(name, topology)
    except (labs.LabError, ValueError) as error:
        raise Failure(str(error)) from None
    _say_up(info)
    note(f"look inside with 'fairlead lab exec {name} {info.topology.hosts[0].name} -- ip address'")


def _cluster_up(
    name: str, *, nodes: int | None, clients: int, kube_proxy: bool, lan: "Sequence[Subnet | str]"
) -> None:
    from fairlead.lab import kubernetes

    info = kubernetes.up(
        name,
        nodes=2 if nodes is None else nodes,
        clients=clients,
        kube_proxy=kube_proxy,
        lan=lan,
        progress=note,
    )
    _say_up(info)
    run = f"fairlead lab exec {name} {kubernetes.CONTROL} --"
    note(f"the API server is on host {kubernetes.CONTROL}: '{run} kubectl get nodes'")
    note(f"a first pod: '{run} kubectl create deployment web --image=nginx --replicas=2'")


def _say_up(info: "LabInfo") -> None:
    hosts = ", ".join(host.name for host in info.topology.hosts)
    note(f"lab {info.name} is up: {hosts}")


@app.command()
def down(name: Name = "lab") -> None:
    """Take a lab down, whatever runs in it.

    Example: fairlead lab down try
    """
    need_root("a lab", "lab down")
    from fairlead import lab as labs

    try:
        labs.down(name)
    except labs.LabError as error:
        raise Failure(str(error)) from None
    note(f"lab {name} is gone")


@app.command("exec", context_settings={"ignore_unknown_options": True})
def exec_(
    name: Name,
    host: Annotated[str, typer.Argument(help="A host of it, or `switch`.")],
    argv: Annotated[list[str], typer.Argument(metavar="COMMAND...", help="What to run there.")],
) -> None:
    """Run a command inside a host of a lab.

    Example: fairlead lab exec try client -- curl http://100.64.196.61/
    """
    need_root("a lab", "lab exec")
    from fairlead import lab as labs

    try:
        labs.exec_(name, host, argv)
    except (labs.LabError, FileNotFoundError) as error:
        raise Failure(str(error)) from None


@app.command("list")
def list_(output: Output = Format.TABLE) -> None:
    """Show the labs of this machine.

    Example: fairlead lab list -o json
    """
    from fairlead import lab as labs
    from fairlead.publish.tables import table

    found = [
        {
            "name": info.name,
            "alive": info.alive,
            "owner": info.owner,
            "hosts": [host.name for host in info.topology.hosts],
        }
        for info in labs.list_labs()
    ]
    emit(
        found,
        output,
        lambda: table(
            ["NAME", "ALIVE", "OWNER", "HOSTS"],
            (
                [
                    info.name,
                    str(info.alive),
                    str(info.owner or "stays"),
                    ",".join(host.name for host in info.topology.hosts),
                ]
                for info in labs.list_labs()
            ),
        ),
    )
