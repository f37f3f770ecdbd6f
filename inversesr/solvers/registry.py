"""Which solvers there are, and all that others ask of one: one entry a solver.

Nothing else lists names of solvers. Imports no torch: the command line reads this when it starts.
A new solver is one new file, with its options class and its `restore`, and one entry here.
"""

from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from inversesr.config import AUTOMATIC
from inversesr.errors import InputError

LATENT = ("autoencoder", "denoiser")


@dataclass(frozen=True)
class SolverEntry:
    """A solver.

    Attributes:
        name: Its name at the command line.
        summary: What it does, in a sentence.
        module: Module with its options class and its function `restore(task, setup)`.
        options: Name of the options class.
        networks: Roles of the networks that it needs of a prior; none for a solver without one.
        needs_encoder: Whether it encodes images too.
        is_published: Whether it stays as published: it starts from the prior alone, and nothing
            is kept from the prior without being asked for.
        draws_samples: Whether it draws posterior samples.
        fuses_scans: Whether it takes several scans.
        is_consistent: Whether its image is made consistent with the scan.
        is_even: Whether all of its steps take equally long.
        bytes_per_voxel: Peak memory a voxel of the fine grid; None where it was not measured.
        least_bytes: What it needs besides, whatever the size of the scan.
        calibration: Field of the prior's card that scales its error map, or "".
        without_prior: What the report says of a solver without a prior.
    """

    name: str
    summary: str
    module: str
    options: str
    networks: tuple[str, ...] = ()
    needs_encoder: bool = False
    is_published: bool = False
    draws_samples: bool = False
    fuses_scans: bool = False
    is_consistent: bool = True
    is_even: bool = True
    bytes_per_voxel: float | None = None
    least_bytes: float = 0.0
    calibration: str = ""
    without_prior: str = ""

    @property
    def has_prior(self) -> bool:
        """Whether it needs a prior."""
        return bool(self.networks)

    @property
    def is_latent(self) -> bool:
        """Whether it works on latents of a prior."""
        return self.networks == LATENT

    @property
    def starts_from_unet(self) -> bool:
        """Whether its first guess is the U-Net's image, where the prior has one."""
        return self.is_latent and not self.is_published

    def load_options(self) -> Any:  # noqa: ANN401 (a class that is named in the entry)
        """Return the options class."""
        return getattr(import_module(self.module), self.options)

    def load(self) -> Any:  # noqa: ANN401 (a function of the module)
        """Return the function that restores a scan: (task, setup) -> Solution."""
        return import_module(self.module).restore


SOLVERS = (
    SolverEntry(
        "spline",
        "Cubic interpolation, not made consistent with the scan: the baseline.",
        "inversesr.solvers.spline",
        "Spline",
        is_consistent=False,
        bytes_per_voxel=28.0,
        without_prior="spline interpolates between the slices",
    ),
    SolverEntry(
        "tv",
        "Directional total variation of first and second order, within the scan's noise.",
        "inversesr.solvers.tv.single",
        "TV",
        fuses_scans=True,
        is_even=False,
        bytes_per_voxel=150.0,
        without_prior="tv prefers images with few and simple edges and knows no anatomy",
    ),
    SolverEntry(
        "warmstart",
        "A super-resolution U-Net, fine-tuned on the scan.",
        "inversesr.solvers.unet.solver",
        "UNet",
        networks=("unet",),
        bytes_per_voxel=80.0,
        least_bytes=0.6 * 2**30,
        calibration="error_factor",
    ),
    SolverEntry(
        "latent-pnp",
        "Plug-and-play restoration with a latent diffusion prior, without gradients.",
        "inversesr.solvers.latent.pnp",
        "LatentPnP",
        networks=LATENT,
        needs_encoder=True,
    ),
    SolverEntry(
        "latent-map",
        "The most probable latent, by gradient descent from the plug-and-play result.",
        "inversesr.solvers.latent.map",
        "LatentMAP",
        networks=LATENT,
        needs_encoder=True,
    ),
    SolverEntry(
        "few-step-noise",
        "The noise that a short deterministic chain turns into the image.",
        "inversesr.solvers.latent.few_step_noise",
        "FewStepNoise",
        networks=LATENT,
        needs_encoder=True,
    ),
    SolverEntry(
        "split-gibbs",
        "Posterior samples: image and latent are drawn in turn.",
        "inversesr.solvers.latent.split_gibbs",
        "SplitGibbs",
        networks=LATENT,
        needs_encoder=True,
        draws_samples=True,
        calibration="sd_factor",
    ),
    SolverEntry(
        "inversesr-dec",
        "InverseSR(Decoder) as published.",
        "inversesr.solvers.latent.inversesr_dec",
        "InverseSRDecoder",
        networks=LATENT,
        is_published=True,
    ),
    SolverEntry(
        "inversesr-ldm",
        "InverseSR(LDM) as published.",
        "inversesr.solvers.latent.inversesr_ldm",
        "InverseSRLDM",
        networks=LATENT,
        is_published=True,
    ),
)
# What "auto" takes for one scan with slices that its network knows, and for others.
DEFAULT_NAME, FALLBACK_NAME = "warmstart", "tv"
# Plain interpolation.
BASELINE_NAME = "spline"


def names() -> tuple[str, ...]:
    """Return the names of all solvers."""
    return tuple(entry.name for entry in SOLVERS)


def solver_choices() -> tuple[str, ...]:
    """Return what `--solver` takes."""
    return (AUTOMATIC, *names())


def find(name: str) -> SolverEntry:
    """Return a solver by its name.

    Raises:
        InputError: there is none of that name.
    """
    for entry in SOLVERS:
        if entry.name == name:
            return entry
    nearest = get_close_matches(str(name), solver_choices(), 1, 0.6)
    hint = f": did you mean {nearest[0]}" if nearest else ""
    message = f"solver is {name}; expected {' or '.join(solver_choices())}{hint}"
    raise InputError(message)


def sampler() -> SolverEntry:
    """Return the solver that draws samples."""
    return next(entry for entry in SOLVERS if entry.draws_samples)
