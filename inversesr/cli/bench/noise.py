"""The command `inversesr bench noise`: noise that is found beside noise that was added."""

from typing import TYPE_CHECKING, Annotated

import typer

from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.cli.bench.groups import with_groups
from inversesr.cli.bench.options import Images, given_or_template
from inversesr.cli.bench.output import Output

if TYPE_CHECKING:
    from inversesr.benchmarks.noise import NoiseRow


@with_groups
def noise(
    *,
    images: Images,
    thickness: Annotated[float, typer.Option(metavar="MM", help="Slice thickness.")] = 4.0,
    direction: Annotated[
        str, typer.Option("--axis", metavar="R|A|S", help="Direction across the slices.")
    ] = "S",
    level: Annotated[
        list[float] | None,
        typer.Option(
            "--noise",
            metavar="PERCENT",
            help="Noise in percent of the bright end; may be repeated [default: 1, 2, 5].",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of noise and solvers.")] = 0,
    output: Output,
) -> None:
    """Compare the noise that is found with what was added.

    Magnitudes, with and without air set to zero; images of both signs; noise that varies from
    place to place. What an image holds of noise itself adds to what is found.
    """
    task = SimulateConfig(thickness_mm=thickness, axis=direction, seed=seed)
    from inversesr.benchmarks.noise import measure_noise

    with given_or_template(images.truths) as truths:
        tell = output.keeping(output.unless_json(print_noise))
        rows = measure_noise(truths, level or [1.0, 2.0, 5.0], task, images.crop, tell)
    output.finish(rows, lambda _rows: None)


def print_noise(row: "NoiseRow") -> None:
    """Print what was found of one kind of noise."""
    typer.echo(
        f"{row.image:28s} {row.kind:11s} added {row.added_percent:5.2f} %  found "
        f"{row.found_percent:5.2f} %  ratio {row.ratio:.3f}  map off by {row.map_error:5.1%}"
    )
