"""Pictures of a prior for its model card: samples, and a reconstruction by its autoencoder.

samples.png         D(z) for z drawn by the denoiser
reconstruction.png  an image x, D(E(x)), and D(E(x)) - x
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import pad

from inversesr.errors import InputError
from inversesr.operators.resample import RigidResample
from inversesr.priors.latent_diffusion import LatentDiffusionPrior
from inversesr.priors.loading import load_prior
from inversesr.report.figures import Panel, mosaic, write_figure
from inversesr.report.planes import PLANES
from inversesr.volume import Grid, Volume

SAMPLES_NAME, RECONSTRUCTION_NAME = "samples.png", "reconstruction.png"
# About an adult's brain, for a prior that takes any shape.
SAMPLE_EXTENT_MM = (160.0, 192.0, 160.0)
N_STEPS = 30
BESIDE_MIDLINE_MM = 12.0
# Differences beyond this share of the intensity range are drawn in full colour.
DIFFERENCE = 0.1
DOTS_PER_INCH = 72


@dataclass(frozen=True)
class Drawn:
    """What was drawn.

    Attributes:
        files: The pictures.
        rmse: Error of the reconstruction, rms over the image, of intensities 0 to 1.
    """

    files: tuple[Path, ...]
    rmse: float


def show_prior(
    name: str,
    image: Volume,
    folder: Path,
    n_samples: int = 3,
    seed: int = 0,
    progress: Callable[[str, int, int], None] = lambda _phase, _done, _total: None,
) -> Drawn:
    """Draw samples of a prior and the reconstruction of an image, as PNG.

    Args:
        name: Name of an installed prior, or its folder.
        image: Thin-slice image; for a prior with a fixed grid it lies in the prior's world.
        folder: Where to write; made if need be.
        n_samples: How many samples; 0 draws none.
        seed: Of the samples.
        progress: Called with a phase, the steps done and their total.

    Raises:
        InputError: the prior is not usable, or lacks an encoder or a denoiser.
    """
    prior = load_prior(name)
    if n_samples and prior.denoiser is None:
        message = f"prior {prior.card.name!r} has no denoiser to sample: give --samples 0"
        raise InputError(message)
    folder.mkdir(parents=True, exist_ok=True)
    seen, kept = encode_and_decode(prior, image)
    files = [folder / RECONSTRUCTION_NAME]
    write_figure(draw_reconstruction(seen, kept), files[0], DOTS_PER_INCH)
    samples = []
    generator = torch.Generator().manual_seed(seed)
    for n_done in range(n_samples):
        progress("samples", n_done, n_samples)
        samples.append(draw_sample(prior, generator))
    if samples:
        progress("samples", n_samples, n_samples)
        files.append(folder / SAMPLES_NAME)
        write_figure(draw_samples(samples), files[1], DOTS_PER_INCH)
    return Drawn(tuple(files), float(np.sqrt(np.mean(np.square(kept.data - seen.data)))))


@torch.no_grad()
def encode_and_decode(prior: LatentDiffusionPrior, image: Volume) -> tuple[Volume, Volume]:
    """Return an image as the prior sees it, and what its autoencoder makes of it."""
    intensity = prior.card.intensity
    ends = (intensity.low_percentile, intensity.high_percentile)
    low, high = np.percentile(image.data, ends)
    x = torch.from_numpy(((image.data - low) / ((high - low) or 1.0)).astype(np.float32))
    if prior.card.grid.kind == "fixed":
        seen = RigidResample(image.grid, prior.grid, np.eye(4))(x)
        kept = prior.decode(prior.encode(seen))
        return tuple(Volume(part.numpy(), prior.grid) for part in (seen, kept))  # type: ignore[return-value]
    multiple = prior.card.grid.multiple
    padded = pad(x, [amount for n in reversed(x.shape) for amount in (0, -n % multiple)])
    nx, ny, nz = padded.shape
    fitting = prior.on_shape((nx, ny, nz))
    decoded = fitting.decode(fitting.encode(padded))
    kept = decoded[: x.shape[0], : x.shape[1], : x.shape[2]]
    return image.with_data(x.numpy()), image.with_data(kept.numpy())


@torch.no_grad()
def draw_sample(prior: LatentDiffusionPrior, generator: torch.Generator) -> Volume:
    """Return one sample of the prior, on a grid about as large as a brain."""
    if prior.card.grid.kind == "free":
        card = prior.card.grid
        nx, ny, nz = (
            max(round(extent / spacing / card.multiple), 1) * card.multiple
            for extent, spacing in zip(SAMPLE_EXTENT_MM, card.spacing_mm, strict=True)
        )
        prior = prior.on_shape((nx, ny, nz))
    return Volume(prior.decode(prior.sample(N_STEPS, generator)).numpy(), prior.grid)


def draw_samples(samples: list[Volume]) -> object:
    """Draw each sample as a row of three planes through its middle, 0 black and 1 white."""
    rows = [
        [Panel(sample, axis, f"sample {n}, {PLANES[axis]}", 0.0, 1.0) for axis in range(3)]
        for n, sample in enumerate(samples, 1)
    ]
    return mosaic(rows, middle_mm(samples[0].grid))


def draw_reconstruction(seen: Volume, kept: Volume) -> object:
    """Draw an image, its reconstruction and the difference in three planes."""
    difference = kept.with_data(kept.data - seen.data)
    high = float(np.percentile(seen.data, 99.5)) or 1.0
    words = f"difference, blue -{DIFFERENCE} to red +{DIFFERENCE}"
    rows = [
        [Panel(seen, axis, f"image, {PLANES[axis]}", 0.0, high) for axis in range(3)],
        [Panel(kept, axis, f"reconstruction, {PLANES[axis]}", 0.0, high) for axis in range(3)],
        [Panel(difference, axis, words, -DIFFERENCE, DIFFERENCE, "seismic") for axis in range(3)],
    ]
    return mosaic(rows, beside_midline_mm(seen.grid))


def beside_midline_mm(grid: Grid) -> tuple[float, float, float]:
    """Return a point right of the middle of a head, away from the gap between its halves."""
    x, y, z = middle_mm(grid)
    return x + BESIDE_MIDLINE_MM, y, z


def middle_mm(grid: Grid) -> tuple[float, float, float]:
    """Return the middle of a grid in the world."""
    x, y, z = (grid.affine @ [*((np.array(grid.shape) - 1) / 2.0), 1.0])[:3]
    return float(x), float(y), float(z)
