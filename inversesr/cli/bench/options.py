"""What the options of `inversesr bench` mean together, and which do not go with one another."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

from inversesr.config import AUTOMATIC, SOLVER_CHOICES, SimulateConfig
from inversesr.errors import InputError

PLOT_SUFFIXES = (".png", ".pdf", ".svg")
# options that each measurement takes beside --csv and --json
_OF_SOLVERS = {"--solver", "--set", "--prior", "--seed"}
_TAKEN = {
    "--robustness": {
        *("TRUTH", "--thickness", "--gap", "--profile", "--axis", "--noise", "--crop"),
        *("--misstated", *_OF_SOLVERS),
    },
    "--all-tasks": {"TRUTH", "--crop", *_OF_SOLVERS},
    "--scaling": _OF_SOLVERS,
    "--networks": set[str](),
    "--reconstruction": {"TRUTH", "--prior"},
    "--default-run": {"--set"},
    "--calibration": {"TRUTH", "--thickness", "--gap", "--crop", *_OF_SOLVERS},
}


def read_only_solver(names: list[str] | None) -> str:
    """Return the one solver that was named, or "auto".

    Raises:
        InputError: several were named.
    """
    wanted = read_solvers(names) or [AUTOMATIC]
    if len(wanted) > 1:
        message = f"--calibration was given {len(wanted)} solvers; expected one at a time"
        raise InputError(message)
    return wanted[0]


def check_modes(modes: dict[str, bool], given: dict[str, bool]) -> None:
    """Refuse what cannot be had together.

    Args:
        modes: Kind of measurement -> whether it was asked for.
        given: Option -> whether it was given.

    Raises:
        InputError: two kinds of measurement, or an option that one of them does not have.
    """
    chosen = [name for name, is_on in modes.items() if is_on]
    if len(chosen) > 1:
        message = f"{' and '.join(chosen)} were given; expected one of them at a time"
        raise InputError(message)
    if given["--misstated"] and "--robustness" not in chosen:
        message = "--misstated goes with --robustness only: give both"
        raise InputError(message)
    for name, is_given in given.items():
        if is_given and chosen and name not in _TAKEN[chosen[0]]:
            message = f"{name} does not go with {chosen[0]}: leave one of them out"
            raise InputError(message)


def check_files(csv: Path | None, plot: Path | None) -> None:
    """Make sure before hours of work that their result can be written.

    Raises:
        InputError: a folder does not exist, or a picture is not named as one.
    """
    for file in (csv, plot):
        if file is not None and not file.absolute().parent.is_dir():
            message = f"{file} lies in a folder that does not exist: make it, or name another"
            raise InputError(message)
    if plot is not None and plot.suffix.lower() not in PLOT_SUFFIXES:
        message = f"{plot} is to be a picture; expected a name in {' or '.join(PLOT_SUFFIXES)}"
        raise InputError(message)


def read_solvers(given: list[str] | None) -> list[str] | None:
    """Return the solvers named, each once, or None.

    Raises:
        InputError: there is no such solver.
    """
    if not given:
        return None
    names = [name.strip() for text in given for name in text.split(",") if name.strip()]
    for name in names:
        if name not in SOLVER_CHOICES:
            message = f"solver is {name}; expected {' or '.join(SOLVER_CHOICES)}"
            raise InputError(message)
    return list(dict.fromkeys(names))


def read_tasks(
    lists: tuple[list[float] | None, list[str] | None, list[float] | None, list[str] | None],
    shared: tuple[float, int],
    *,
    is_sweep: bool,
) -> list[SimulateConfig]:
    """Return every combination of thickness, profile, noise in percent and direction."""
    defaults: tuple[Sequence[Any], ...] = ((4.0,), ("rect",), (0.0,), ("S",))
    if is_sweep:
        from inversesr.benchmarks.robustness import NOISE_PERCENT, PROFILES, THICKNESSES_MM

        defaults = (THICKNESSES_MM, PROFILES, NOISE_PERCENT, ("S",))
    chosen = [given or default for given, default in zip(lists, defaults, strict=True)]
    gap, seed = shared
    return [
        SimulateConfig(thickness_mm=t, gap_mm=gap, profile=p, noise=n / 100.0, axis=a, seed=seed)
        for t, p, n, a in product(*chosen)
    ]
