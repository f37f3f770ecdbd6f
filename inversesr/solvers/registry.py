"""Which solvers there are: one line each. Nothing else lists names of solvers.

Imports no torch: the command line reads the names when it starts. All that others ask of a solver
is the `SOLVER` of its own file, which is imported when it is asked for. A new solver is one new
file, with its options class, its `restore` and its `SOLVER`, and one line here.
"""

from dataclasses import replace
from difflib import get_close_matches
from functools import cache
from importlib import import_module

from inversesr.config import AUTOMATIC, present_solver
from inversesr.errors import InputError
from inversesr.solvers.entry import SolverEntry

# name -> its file and its options class
SOLVERS = {
    "spline": ("inversesr.solvers.spline", "Spline"),
    "tv": ("inversesr.solvers.tv.single", "TV"),
    "unet": ("inversesr.solvers.unet.solver", "UNet"),
    "latent-pnp": ("inversesr.solvers.latent.pnp", "LatentPnP"),
    "latent-map": ("inversesr.solvers.latent.map", "LatentMAP"),
    "few-step-noise": ("inversesr.solvers.latent.few_step_noise", "FewStepNoise"),
    "split-gibbs": ("inversesr.solvers.latent.split_gibbs", "SplitGibbs"),
    "diffusion": ("inversesr.solvers.diffusion.solver", "Diffusion"),
    "inversesr-dec": ("inversesr.solvers.latent.inversesr_dec", "InverseSRDecoder"),
    "inversesr-ldm": ("inversesr.solvers.latent.inversesr_ldm", "InverseSRLDM"),
}
# What "auto" takes for one scan with slices that its network knows, and for others.
DEFAULT_NAME, FALLBACK_NAME = "diffusion", "tv"
# What "auto" takes where samples are asked for of a stack that lacks slices.
SAMPLER_OF_GAPS_NAME = "split-gibbs"
# Plain interpolation; the published method that others are compared with; the one that
# benchmarks of a latent diffusion prior run.
BASELINE_NAME, REFERENCE_NAME, LATENT_NAME = "spline", "inversesr-dec", "latent-pnp"


def names() -> tuple[str, ...]:
    """Return the names of all solvers."""
    return tuple(SOLVERS)


def solver_choices() -> tuple[str, ...]:
    """Return what `--solver` takes."""
    return (AUTOMATIC, *SOLVERS)


def check_name(name: str) -> None:
    """Refuse what is no name of a solver.

    Raises:
        InputError: there is none of that name.
    """
    if name in SOLVERS:
        return
    nearest = get_close_matches(str(name), solver_choices(), 1, 0.6)
    hint = f": did you mean {nearest[0]}" if nearest else ""
    message = f"solver is {name}; expected {' or '.join(solver_choices())}{hint}"
    raise InputError(message)


def find(name: str) -> SolverEntry:
    """Return a solver by its name. Its file is imported.

    Raises:
        InputError: there is none of that name.
    """
    name = present_solver(name)
    check_name(name)
    return _entry(name)


@cache
def _entry(name: str) -> SolverEntry:
    entry: SolverEntry = import_module(SOLVERS[name][0]).SOLVER
    return replace(entry, name=name)


def entries() -> tuple[SolverEntry, ...]:
    """Return all solvers. Their files are imported."""
    return tuple(find(name) for name in SOLVERS)


def fusers() -> tuple[SolverEntry, ...]:
    """Return the solvers that take several scans."""
    return tuple(entry for entry in entries() if entry.fuses_scans)
