"""The command `inversesr bench tasks`: solvers on the standard set of tasks, in one table."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from inversesr.cli.bench.groups import with_groups
from inversesr.cli.bench.options import Images, SolverChoice, given_or_template
from inversesr.cli.bench.output import Output
from inversesr.cli.bench.tables import tell_row, text, wide_console

if TYPE_CHECKING:
    from inversesr.benchmarks.rows import Row


@with_groups
def tasks(*, images: Images, chosen: SolverChoice, output: Output) -> None:
    """Compare solvers on the standard set of tasks.

    One table of means over the images. Tasks vary thickness, gap, profile, direction and noise,
    one at a time; two hard ones vary several. By default all solvers that the prior allows.
    """
    from inversesr.benchmarks.comparison import compare_solvers, runnable_solvers
    from inversesr.benchmarks.tasks import standard_tasks

    names = chosen.names or runnable_solvers(chosen.prior)
    setup, wanted = chosen.setup(images.crop), standard_tasks(chosen.seed)
    with given_or_template(images.truths) as truths:
        rows = compare_solvers(truths, wanted, names, output.keeping(tell_row), setup)
    output.finish(rows, print_means)


def print_means(rows: "Sequence[Row]") -> None:
    """Print PSNR of every solver on every task, mean over the images, and spectral errors."""
    from rich.table import Table

    from inversesr.benchmarks.tasks import means_by_task

    means = means_by_task(rows)
    for title, name in (
        ("PSNR in dB", "psnr_db"),
        ("spectral error across the slices in dB", "spectral_error_db"),
    ):
        table = Table(title=f"{title}, mean over images", title_justify="left")
        for column in ("task", *means[0].psnr_db, "images"):
            table.add_column(column, justify="left" if column == "task" else "right", no_wrap=True)
        for mean in means:
            cells = [text(value, ".2f") for value in getattr(mean, name).values()]
            table.add_row(mean.task, *cells, str(mean.n_images))
        wide_console().print(table)
