"""The command `inversesr bench default-run`: the phases of a run with the Brain LDM."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from inversesr.cli.bench.groups import with_groups
from inversesr.cli.bench.output import Output
from inversesr.cli.bench.tables import text
from inversesr.cli.console import Settings
from inversesr.solvers.options import check_settings

if TYPE_CHECKING:
    from inversesr.benchmarks.default_run import Phase


@with_groups
def default_run(*, settings: Settings = None, output: Output) -> None:
    """Time each phase of a whole run with the Brain LDM.

    The weights are random: figures are those of the real ones, the image means nothing.
    """
    check_settings(settings or [])
    from inversesr.benchmarks.default_run import measure_default_run

    output.finish(measure_default_run(settings=tuple(settings or ())), print_phases)


def print_phases(phases: "Sequence[Phase]") -> None:
    """Print what each part of a run took."""
    for phase in phases:
        peak = f"  peak {phase.peak_gib:.1f} GiB" if phase.peak_gib is not None else ""
        note = f"  ({phase.note})" if phase.note else ""
        typer.echo(f"{phase.phase:40s} {text(phase.seconds, '8.1f')} s{peak}{note}")
