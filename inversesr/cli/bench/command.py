"""The command `inversesr bench`: solvers side by side, and what the networks of a prior cost."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inversesr.cli.bench import tables as tables
from inversesr.cli.bench.options import (
    check_files,
    check_modes,
    read_only_solver,
    read_solvers,
    read_tasks,
)
from inversesr.cli.console import Json, Settings, failing_in_one_sentence, print_json
from inversesr.config import AUTOMATIC, BUILTIN_PRIOR, Config, SimulateConfig
from inversesr.errors import InputError
from inversesr.solvers.options import SolverOptions, with_settings

if TYPE_CHECKING:
    from inversesr.benchmarks.comparison import Setup
    from inversesr.benchmarks.rows import Row

# images, and how each is degraded
Work = tuple[Sequence[Path], Sequence[SimulateConfig]]
# those that take a minute or two a scan
QUICK_SOLVERS = ("spline", "tv", "warmstart")


def bench(  # noqa: PLR0913 (one argument a flag)
    truths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="TRUTH...", help="Thin-slice images [default: the demo's head]."),
    ] = None,
    *,
    solver: Annotated[
        list[str] | None,
        typer.Option(
            help="Solver; may be repeated, or several with commas [default: all that can run; "
            "spline, tv, warmstart for --scaling; auto for --robustness]."
        ),
    ] = None,
    settings: Settings = None,
    prior: Annotated[
        str, typer.Option(metavar="NAME|DIR", help="Prior of the solvers that need one.")
    ] = BUILTIN_PRIOR,
    thickness: Annotated[
        list[float] | None,
        typer.Option(
            metavar="MM",
            help="Slice thickness; may be repeated [default: 4; 3, 4, 5, 6, 8 for --robustness].",
        ),
    ] = None,
    gap: Annotated[float, typer.Option(metavar="MM", help="Gap between slices.")] = 0.0,
    profile: Annotated[
        list[str] | None,
        typer.Option(
            help="Slice profile; may be repeated [default: rect; and gaussian for --robustness]."
        ),
    ] = None,
    axis: Annotated[
        list[str] | None,
        typer.Option(
            metavar="R|A|S", help="Direction across the slices; may be repeated [default: S]."
        ),
    ] = None,
    noise: Annotated[
        list[float] | None,
        typer.Option(
            metavar="PERCENT",
            help="Noise in percent of the brightest intensity; may be repeated [default: 0; "
            "0, 1, 2, 3 for --robustness].",
        ),
    ] = None,
    crop: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Keep N x N voxels about the middle of the slices [default: all]."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of noise and solvers.")] = 0,
    until: Annotated[
        bool,
        typer.Option(
            "--until",
            help="Find when each solver has the final null-space PSNR of inversesr-dec.",
        ),
    ] = False,
    all_tasks: Annotated[
        bool,
        typer.Option(
            "--all-tasks",
            help="The standard set of tasks instead: gaps, profiles, directions, noise, thin "
            "slices far apart; one table.",
        ),
    ] = False,
    robustness: Annotated[
        bool, typer.Option("--robustness", help="Mean and worst gain over spline instead.")
    ] = False,
    misstated: Annotated[
        float,
        typer.Option(
            metavar="PERCENT",
            help="With --robustness: tell solvers a thickness that is wrong by this much.",
        ),
    ] = 0.0,
    scaling: Annotated[
        bool, typer.Option("--scaling", help="Time scans of growing size instead.")
    ] = False,
    networks: Annotated[
        bool,
        typer.Option("--networks", help="Time the networks of the brain LDM, random weights."),
    ] = False,
    default_run: Annotated[
        bool,
        typer.Option(
            "--default-run",
            help="Time a whole run with the brain LDM's architecture, random weights.",
        ),
    ] = False,
    reconstruction: Annotated[
        bool,
        typer.Option("--reconstruction", help="Encode and decode by the prior instead."),
    ] = False,
    calibration: Annotated[
        bool,
        typer.Option(
            "--calibration",
            help="How often intervals of split-gibbs, or of warmstart, hold the truth instead, "
            "on crops.",
        ),
    ] = False,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write the rows as CSV too.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="Draw null-space PSNR against seconds too."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare solvers on degraded images: quality, time, passes and memory of each process."""
    needs_images = not (networks or scaling or default_run)
    with failing_in_one_sentence(), _given_or_demo_head(truths, needs_images) as images:
        check_modes(
            {
                "--all-tasks": all_tasks,
                "--robustness": robustness,
                "--scaling": scaling,
                "--networks": networks,
                "--reconstruction": reconstruction,
                "--default-run": default_run,
                "--calibration": calibration,
            },
            {
                "TRUTH": bool(truths),
                "--solver": bool(solver),
                "--set": bool(settings),
                "--prior": prior != BUILTIN_PRIOR,
                "--thickness": bool(thickness),
                "--gap": gap != 0.0,
                "--profile": bool(profile),
                "--axis": bool(axis),
                "--noise": bool(noise),
                "--misstated": misstated != 0.0,
                "--crop": crop is not None,
                "--seed": seed != 0,
                "--plot": plot is not None,
                "--until": until,
            },
        )
        check_files(csv, plot)
        if networks:
            rows = _networks(as_json=as_json)
        elif default_run:
            rows = _default_run(settings, as_json=as_json)
        elif reconstruction:
            rows = _reconstruction(images, prior, as_json=as_json)
        elif calibration:
            named = read_only_solver(solver)
            config = Config(named, prior=prior, settings=tuple(settings or ()), seed=seed)
            slices_mm = [(mm, gap) for mm in thickness or [4.0]]
            rows = _calibration((images, slices_mm), config, crop, as_json=as_json)
        else:
            wanted = read_solvers(solver)
            setup = _setup(settings, prior, seed, crop, is_traced=until)
            setup = replace(setup, misstated=misstated / 100.0)
            if scaling:
                rows = _scaling(wanted, setup, csv, as_json=as_json)
            elif all_tasks:
                rows = _all_tasks(images, wanted, setup, csv, as_json=as_json)
            else:
                lists = (thickness, profile, noise, axis)
                tasks = read_tasks(lists, (gap, seed), is_sweep=robustness)
                compare = _robustness if robustness else _compare
                rows = compare((images, tasks), wanted, setup, csv, as_json=as_json)
        _write(rows, csv, plot, as_json=as_json)


def _setup(
    settings: list[str] | None, prior: str, seed: int, crop: int | None, *, is_traced: bool
) -> "Setup":
    from inversesr.benchmarks.comparison import Setup

    with_settings(SolverOptions(), settings or [])
    return Setup(tuple(settings or ()), prior, seed, crop, is_traced)


def _compare(
    work: Work,
    solvers: list[str] | None,
    setup: "Setup",
    csv: Path | None,
    *,
    as_json: bool,
) -> list[Any]:
    rows = _compared(work, solvers, setup, csv)
    if not as_json:
        tables.print_comparison(rows)
    return rows


def _all_tasks(
    images: Sequence[Path],
    solvers: list[str] | None,
    setup: "Setup",
    csv: Path | None,
    *,
    as_json: bool,
) -> list[Any]:
    from inversesr.benchmarks.tasks import means_by_task, standard_tasks

    rows = _compared((images, standard_tasks(setup.seed)), solvers, setup, csv)
    if not as_json:
        tables.print_means(means_by_task(rows))
    return rows


def _compared(
    work: Work, solvers: list[str] | None, setup: "Setup", csv: Path | None
) -> list["Row"]:
    from inversesr.benchmarks.comparison import compare_solvers, runnable_solvers
    from inversesr.benchmarks.rows import REFERENCE_SOLVER

    names = solvers or runnable_solvers(setup.prior)
    if setup.is_traced and REFERENCE_SOLVER not in names:
        message = f"--until compares with {REFERENCE_SOLVER}: name it among the solvers"
        raise InputError(message)
    return compare_solvers(*work, names, _keeping(csv, tables.tell_row), setup)


def _robustness(
    work: Work,
    solvers: list[str] | None,
    setup: "Setup",
    csv: Path | None,
    *,
    as_json: bool,
) -> list[Any]:
    from inversesr.benchmarks.robustness import measure_robustness, summarise_gains

    tell = _keeping(csv, tables.tell_gain)
    rows = measure_robustness(*work, solvers or [AUTOMATIC], tell, setup)
    if not as_json:
        tables.print_gains(summarise_gains(rows))
    return rows


def _scaling(
    solvers: list[str] | None, setup: "Setup", csv: Path | None, *, as_json: bool
) -> list[Any]:
    from inversesr.benchmarks.comparison import measure_scaling

    rows = measure_scaling(solvers or QUICK_SOLVERS, _keeping(csv, tables.tell_row), setup)
    if not as_json:
        tables.print_comparison(rows)
    return rows


def _networks(*, as_json: bool) -> list[Any]:
    from inversesr.benchmarks.networks import measure_networks

    return measure_networks(progress=tables.print_nothing if as_json else tables.print_cost)


def _default_run(settings: list[str] | None, *, as_json: bool) -> list[Any]:
    from inversesr.benchmarks.default_run import measure_default_run

    with_settings(SolverOptions(), settings or [])
    rows = measure_default_run(settings=tuple(settings or ()))
    if not as_json:
        tables.print_phases(rows)
    return rows


def _reconstruction(images: Sequence[Path], prior: str, *, as_json: bool) -> list[Any]:
    from inversesr.benchmarks.autoencoder import measure_reconstruction

    show = tables.print_nothing if as_json else tables.print_reconstruction
    return measure_reconstruction(images, prior, show)


def _calibration(
    work: tuple[Sequence[Path], Sequence[tuple[float, float]]],
    config: Config,
    crop: int | None,
    *,
    as_json: bool,
) -> list[Any]:
    from inversesr.benchmarks.calibration import CROP_VOXELS, measure_calibration

    rows = measure_calibration(
        *work,
        config,
        tables.print_nothing if as_json else tables.tell_coverage,
        crop or CROP_VOXELS,
    )
    if not as_json:
        tables.print_coverage(rows)
    return rows


def _keeping(csv: Path | None, tell: Callable[[Any], None]) -> Callable[[Any], None]:
    """Have the CSV file renewed after each run: hours of work may be interrupted."""
    from inversesr.io.csv_table import write_csv

    rows: list[Any] = []

    def keep(row: object) -> None:
        rows.append(row)
        tell(row)
        if csv is not None:
            write_csv(csv, rows)

    return keep


def _write(rows: Sequence[Any], csv: Path | None, plot: Path | None, *, as_json: bool) -> None:
    """Write what was asked for."""
    from inversesr.io.csv_table import write_csv

    if csv is not None:
        write_csv(csv, rows)
    if plot is not None:
        _draw(rows, plot)
    if as_json:
        print_json({"rows": [asdict(row) for row in rows]})


def _draw(rows: "Sequence[Row]", file: Path) -> None:
    from inversesr.report.figures import quality_against_time

    points = [
        (row.solver, row.solver_seconds, row.null_space_psnr_db)
        for row in rows
        if row.solver_seconds is not None and row.null_space_psnr_db is not None
    ]
    figure = quality_against_time(points, "PSNR of what no slice measured, dB")
    figure.savefig(file, dpi=130)


@contextmanager
def _given_or_demo_head(
    images: list[Path] | None,
    is_needed: bool,  # noqa: FBT001  (a predicate)
) -> Iterator[list[Path]]:
    """Give the images named by the user, else the demo's head where one is needed."""
    if images or not is_needed:
        yield images or []
        return
    from inversesr.workflows.demo import demo_head

    with demo_head() as head:
        yield [head]
