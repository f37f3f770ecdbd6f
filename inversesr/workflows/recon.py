"""From a file of k-space to magnitude and phase."""

from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from inversesr.acquisition.coil_maps import EspiritConfig
from inversesr.errors import InputError
from inversesr.io.atomic import atomic_folder, check_output, is_image_name
from inversesr.io.checks import stem
from inversesr.io.json_text import json_text
from inversesr.io.kspace.formats import ENDINGS, read_kspace
from inversesr.io.kspace.record import KSpace
from inversesr.io.kspace.write import write_image
from inversesr.io.paths import from_home
from inversesr.measurements.kspace import KSpaceMeasurement, measure_kspace
from inversesr.priors.installed import OpenPrior, open_prior
from inversesr.resources import set_threads
from inversesr.solvers.kspace.choices import ReconConfig
from inversesr.solvers.kspace.protocol import Progress, Reconstruction, Request, silent
from inversesr.solvers.kspace.registry import METHODS, method_of, options_of
from inversesr.volume import Grid
from inversesr.workflows.record import NOT_FOR_DIAGNOSIS

Images = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class ReconFiles:
    """Files beside the one of k-space; None where they are not given."""

    mask: Path | None = None
    maps: Path | None = None
    noise_scan: Path | None = None


@dataclass(frozen=True, eq=False)
class Recon:
    """What was reconstructed.

    Attributes:
        image: Complex, shape (X, Y, Z), in the units of the samples.
        grid: Where its voxels lie; None where the file does not say.
        samples: Posterior samples, likewise.
        record: Everything needed to repeat and to judge it.
        warnings: What is odd about the data, in sentences.
    """

    image: NDArray[np.complex64]
    grid: Grid | None
    samples: tuple[NDArray[np.complex64], ...]
    record: dict[str, Any]
    warnings: tuple[str, ...]


def recon_file(
    path: Path,
    config: ReconConfig,
    output: Path | None = None,
    files: ReconFiles | None = None,
    *,
    force: bool = False,
    progress: Progress = silent,
) -> tuple[Recon, dict[str, Path]]:
    """Reconstruct a file of k-space, and write magnitude, phase and a record.

    Args:
        path: The file.
        config: Choices.
        output: Folder, or name of the magnitude; None for beside the file.
        files: Mask, coil maps and noise scan.
        force: Whether existing results may be replaced.
        progress: Called with phase, steps done and steps in all.

    Returns:
        What was reconstructed, and the files by what they hold.

    Raises:
        InputError: the data or a choice are unusable, or output cannot be written.
    """
    path, files = from_home(path), files or ReconFiles()
    names = names_of(path, output, with_samples=config.samples is not None)
    check_output(list(names.values()), force=force)
    check_choices(config)
    kspace = read_kspace(path, config.axes, files.mask, files.maps, files.noise_scan)
    found = reconstruct(kspace, config, progress)
    images = images_of(found)
    folder = names["record"].parent
    with atomic_folder(folder, names["magnitude"].name) as partial:
        for role, data in images.items():
            write_image(partial / names[role].name, data, found.grid)
        record = {"input": path.name, **found.record}
        (partial / names["record"].name).write_text(json_text(record, 2) + "\n", encoding="utf-8")
    return found, names


def check_choices(config: ReconConfig) -> None:
    """Refuse what does not go together, before anything is read.

    Raises:
        InputError: the method draws no samples, or an option is not its own.
    """
    options_of(config.solver, config.settings)
    if config.samples is not None and not method_of(config.solver).draws_samples:
        drawing = [name for name in METHODS if method_of(name).draws_samples]
        message = (
            f"--samples was given, but {config.solver} draws none; expected --solver "
            f"{' or '.join(drawing)}"
        )
        raise InputError(message)


def reconstruct(kspace: KSpace, config: ReconConfig, progress: Progress = silent) -> Recon:
    """Reconstruct the image of k-space.

    Args:
        kspace: The data.
        config: Choices.
        progress: Called with phase, steps done and steps in all.

    Raises:
        InputError: there is no calibration region, or the prior has no network for this.
    """
    set_threads(config.threads)
    begin = perf_counter()
    method = method_of(config.solver)
    prior = open_prior(config.prior) if method.role else None
    device = device_of(config.device)
    espirit = EspiritConfig(crop=config.crop)
    measurement = measure_kspace(kspace, config.noise, espirit).to(device)
    prepared = perf_counter()
    request = Request(
        options_of(config.solver, config.settings),
        prior,
        config.samples or 0,
        config.seed,
        progress,
    )
    found = method.reconstruct(measurement, request)
    seconds = {"prepare": prepared - begin, "solve": perf_counter() - prepared}
    scaled = [(measurement.scale * x).cpu().numpy() for x in (found.x, *found.samples)]
    grid = grid_of(kspace)
    image, *samples = (cut(x, kspace.image_shape) for x in scaled)
    record = record_of(kspace, measurement, config, found, prior) | {"seconds": seconds}
    return Recon(image, grid, tuple(samples), record, kspace.warnings)


def device_of(name: str) -> torch.device:
    """Return the device of a name; auto takes a GPU where there is one.

    Raises:
        InputError: there is no such device.
    """
    has_gpu = torch.cuda.is_available()
    if name == "cuda" and not has_gpu:
        message = "device is cuda, but this machine has no usable GPU: give --device cpu"
        raise InputError(message)
    return torch.device("cuda" if has_gpu and name != "cpu" else "cpu")


def cut(x: NDArray[np.complex64], shape: tuple[int, int, int] | None) -> NDArray[np.complex64]:
    """Cut an image to some voxels about its middle, along axes on which it has more."""
    for axis, wanted in enumerate(shape or ()):
        n = x.shape[axis]
        if wanted < n:
            x = np.take(x, np.arange(n // 2 - wanted // 2, n // 2 - wanted // 2 + wanted), axis)
    return x


def grid_of(kspace: KSpace) -> Grid | None:
    """Return where the voxels of the image lie that `cut` leaves.

    An image that is to have more voxels than were encoded keeps these, over the same field.
    """
    if kspace.grid is None:
        return None
    wanted = kspace.image_shape or kspace.shape
    shape = tuple(min(n, m) for n, m in zip(kspace.shape, wanted, strict=True))
    if shape == kspace.grid.shape:
        return kspace.grid
    x, y, z = shape
    ratios = [m / n for n, m in zip(shape, kspace.grid.shape, strict=True)]
    spacing = [s * ratio for s, ratio in zip(kspace.grid.spacing_mm, ratios, strict=True)]
    return kspace.grid.respaced((x, y, z), tuple(spacing))


def images_of(found: Recon) -> Images:
    """Return magnitude and phase, and what samples tell, by role."""
    images = {"magnitude": np.abs(found.image), "phase": np.angle(found.image)}
    if found.samples:
        sizes = np.stack([np.abs(x) for x in found.samples], axis=-1)
        images |= {"sd": sizes.std(axis=-1, ddof=1), "samples": sizes}
    return {role: np.asarray(x, dtype=np.float32) for role, x in images.items()}


def names_of(path: Path, output: Path | None, *, with_samples: bool) -> dict[str, Path]:
    """Return the files to be written, by role."""
    base = next(
        (path.name[: -len(e)] for e in ENDINGS if path.name.lower().endswith(e)), path.stem
    )
    folder, image = path.parent, None
    if output is not None:
        output = from_home(output)
        is_image = is_image_name(output)
        folder, image = (output.parent, output.name) if is_image else (output, None)
        base = stem(output) if is_image else base
    names = {
        "magnitude": image or f"{base}_part-mag_desc-recon.nii.gz",
        "phase": f"{base}_part-phase_desc-recon.nii.gz",
        "record": f"{base}_desc-recon.json",
    }
    if with_samples:
        names |= {
            "sd": f"{base}_part-mag_desc-sd.nii.gz",
            "samples": f"{base}_part-mag_desc-samples.nii.gz",
        }
    return {role: folder / name for role, name in names.items()}


def record_of(
    kspace: KSpace,
    measurement: KSpaceMeasurement,
    config: ReconConfig,
    found: Reconstruction,
    prior: OpenPrior | None,
) -> dict[str, Any]:
    """Return everything needed to repeat and to judge a reconstruction, as plain data."""
    return {
        "Description": "Image reconstructed from k-space",
        "IntendedUse": NOT_FOR_DIAGNOSIS,
        "GeneratedBy": [{"Name": "inversesr", "Version": version("inversesr")}],
        "config": asdict(config),
        "solver": {"used": config.solver, "status": found.status, "steps": found.n_steps},
        "prior": None if prior is None else {"name": prior.name, "sha256": prior.sha256},
        "data": {
            "coils": kspace.n_coils,
            "shape": list(kspace.shape),
            "encoded_axes": ["xyz"[axis] for axis in kspace.encoded],
            "acceleration": round(kspace.acceleration, 3),
            "noise_over_bright_end": measurement.sigma,
            "noise_source": measurement.noise_source,
            "bright_end": measurement.scale,
        },
        "warnings": list(kspace.warnings),
    }
