"""The command `inversesr bench networks`: what the networks of the Brain LDM cost here."""

from typing import TYPE_CHECKING

import typer

from inversesr.cli.bench.groups import with_groups
from inversesr.cli.bench.output import Output

if TYPE_CHECKING:
    from inversesr.benchmarks.networks import NetworkCost


@with_groups
def networks(*, output: Output) -> None:
    """Measure time and memory of the Brain LDM's networks.

    The weights are random: figures are those of the real ones, images mean nothing.
    """
    from inversesr.benchmarks.networks import measure_networks

    output.finish(measure_networks(progress=output.unless_json(print_cost)))


def print_cost(cost: "NetworkCost") -> None:
    """Print what one network cost."""
    if cost.seconds is None or cost.peak_gib is None:
        found = cost.note
    else:
        found = f"{cost.seconds:7.1f} s  {cost.peak_gib:5.1f} GiB"
    typer.echo(f"{cost.operation:22s} {cost.variant:6s} {cost.dtype:9s} {found}")
