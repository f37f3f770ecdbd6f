"""How well the autoencoder of a prior keeps an image that it has never seen."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from torch.nn.functional import pad

from inversesr.acquisition.foreground import foreground
from inversesr.evaluation.metrics import psnr
from inversesr.io.checks import stem
from inversesr.io.nifti import read_scan
from inversesr.priors.latent_diffusion import LatentDiffusionPrior
from inversesr.priors.loading import load_prior
from inversesr.volume import Image

# The brightest voxels are vessels and fat: they do not set the scale.
WHITE_PERCENTILE = 99.9


@dataclass(frozen=True)
class Reconstruction:
    """One row.

    Attributes:
        image: Name of the image.
        psnr_db: Of D(E(x)) against x in its foreground, data range 1.
        encode_seconds: Wall clock of E.
        decode_seconds: Wall clock of D.
        n_voxels: Voxels of the image, padded to a multiple of what the prior takes.
    """

    image: str
    psnr_db: float
    encode_seconds: float
    decode_seconds: float
    n_voxels: int


def measure_reconstruction(
    images: Iterable[Path],
    prior_name: str,
    progress: Callable[[Reconstruction], None] = lambda _row: None,
) -> list[Reconstruction]:
    """Encode and decode images in their own voxels by a free prior.

    Args:
        images: Thin-slice images.
        prior_name: Name of an installed prior, or its folder.
        progress: Called with each row as it is done.

    Raises:
        InputError: the prior is not usable, or its grid is fixed.
    """
    prior, rows = load_prior(prior_name), []
    for path in images:
        rows.append(measure_image(prior, read_scan(path).volume.data, stem(path)))
        progress(rows[-1])
    return rows


def measure_image(prior: LatentDiffusionPrior, data: Image, name: str) -> Reconstruction:
    """Encode and decode one image.

    Args:
        prior: A free prior.
        data: Image in any intensities, background near 0.
        name: What to call it.
    """
    x = torch.from_numpy(data / np.percentile(data, WHITE_PERCENTILE)).float()
    multiple = prior.card.grid.multiple
    padding = [amount for n in reversed(x.shape) for amount in (0, -n % multiple)]
    padded = pad(x, padding)
    nx, ny, nz = padded.shape
    fitting = prior.on_shape((nx, ny, nz))
    start = perf_counter()
    z = fitting.encode(padded)
    encoded = perf_counter()
    decoded = fitting.decode(z)
    done = perf_counter()
    found = decoded[: x.shape[0], : x.shape[1], : x.shape[2]].numpy()
    quality = psnr(found, x.numpy(), foreground(data), 1.0)
    return Reconstruction(name, quality, encoded - start, done - encoded, padded.numel())
