"""The command `inversesr bench scaling`: time and memory by the size of the scan."""

from inversesr.cli.bench.groups import with_groups
from inversesr.cli.bench.options import QUICK_SOLVERS, SolverChoice
from inversesr.cli.bench.output import Output
from inversesr.cli.bench.tables import print_comparison, tell_row


@with_groups
def scaling(*, chosen: SolverChoice, output: Output) -> None:
    """Measure time and memory by the size of the scan.

    Phantoms of growing size; by default spline, tv and unet.
    """
    setup = chosen.setup()
    from inversesr.benchmarks.comparison import measure_scaling

    rows = measure_scaling(chosen.names or QUICK_SOLVERS, output.keeping(tell_row), setup)
    output.finish(rows, print_comparison)
