"""``fairlead version``."""

from fairlead import __version__
from fairlead.cli.options import Output
from fairlead.cli.output import Format, emit


def version(output: Output = Format.TABLE) -> None:
    """Print the version.

    Example: fairlead version -o json
    """
    emit({"fairlead": __version__}, output, lambda: f"fairlead {__version__}\n")
