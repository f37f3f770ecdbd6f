"""The commands as functions, for notebooks: paths or nibabel images in, nibabel images out."""

from collections.abc import Sequence
from dataclasses import fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from inversesr.acquisition.content import check_content
from inversesr.acquisition.simulation import simulate as simulate_volume
from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.config import OLD_CHOICES, Config
from inversesr.errors import InputError
from inversesr.evaluation.scores import Scores, score_volume
from inversesr.io.dicom.taking import taken_in
from inversesr.io.masks import read_mask, read_regions
from inversesr.io.names import check_one_subject
from inversesr.io.nifti import Scan, read_scan, scan_from_image, to_image
from inversesr.priors.installed import open_prior as open_prior  # part of the public face
from inversesr.resources import set_threads
from inversesr.result import Result
from inversesr.solvers.options import name_of, settings_of
from inversesr.volume import Grid
from inversesr.workflows import restore as pipeline
from inversesr.workflows.refusals import refuse_ignored

ConfigT = TypeVar("ConfigT", Config, SimulateConfig)
Image = Any  # a path or a nibabel image; nibabel has no types


def restore(
    scans: Image | Sequence[Image],
    config: Config | None = None,
    mask: Any = None,  # noqa: ANN401
    **choices: Any,  # noqa: ANN401
) -> Result:
    """Restore the thin slices behind a scan, or behind several scans of one subject.

    Args:
        scans: A path or nibabel image, or a sequence of them.
        config: Choices of the run; the default where None.
        mask: The brain, a path, or an array of the shape of the (first) scan, above 0 inside; see
            `--mask`.
        **choices: Fields of Config to change, such as solver="spline". `solver` may also be an
            object of an options class, such as LatentPnP(n_levels=4), and `prior` a prior that
            is open already (`inversesr.open_prior`) or in memory.

    Returns:
        A result whose `.image` is a nibabel image in the world of the (first) scan.

    Raises:
        InputError: a scan cannot be used.
    """
    opened = None
    if not isinstance(choices.get("prior", ""), str | Path):
        opened = open_prior(choices["prior"])
        choices["prior"] = opened.name
    if not isinstance(choices.get("solver", ""), str):
        options = choices["solver"]
        choices["solver"], choices["settings"] = name_of(options), settings_of(options)
    config = _changed(config or Config(), choices)
    # settings are often shared by a comparison, of which some solvers need none
    refuse_ignored(replace(config, settings=()))
    set_threads(config.threads)
    several = list(scans) if isinstance(scans, list | tuple) else [scans]
    if not several:
        message = "found no scan; expected at least one path or nibabel image"
        raise InputError(message)
    check_one_subject([Path(scan) for scan in several if isinstance(scan, str | Path)])
    size = config.voxel_size_mm
    loaded = [load(scan, config.volume, size, config.series) for scan in several]
    for scan in loaded:
        check_content(scan)
    is_file = isinstance(mask, str | Path)
    files = [Path(mask) if is_file else None]
    files.append(None if config.protect is None else Path(config.protect))
    (region, protect), loaded[0] = read_regions(files, loaded[0], size)
    if mask is not None and not is_file:
        region = _marked(mask, loaded[0].volume.grid, "the scan").astype(np.float32)
    return pipeline.restore(loaded, config, region, protect=protect, prior=opened)


def simulate(thin: Image, config: SimulateConfig | None = None, **choices: Any) -> Any:  # noqa: ANN401
    """Make a thick-slice scan from a thin-slice image, and return it as a nibabel image.

    Args:
        thin: A path or nibabel image.
        config: Thickness, gap, profile, direction, tilt and noise.
        **choices: Fields of SimulateConfig to change.
    """
    scan = load(thin)
    return to_image(
        simulate_volume(scan.volume, _changed(config or SimulateConfig(), choices)), scan
    )


def evaluate(image: Image, truth: Image, mask: Any = None) -> Scores:  # noqa: ANN401
    """Score an image against the truth; all are paths or nibabel images.

    Args:
        image: Image to judge.
        truth: What it should be.
        mask: Where to compare, a path, or an array of the shape of truth, above 0 inside; None
            for its foreground.

    Raises:
        InputError: an image or the mask cannot be used.
    """
    expected, judged = load(truth), load(image)
    warnings = (*judged.warnings, *expected.warnings)
    grid, inside = expected.volume.grid, None
    if isinstance(mask, str | Path):
        inside, remarks = read_mask(Path(mask), grid)
        warnings = (*warnings, *remarks)
    elif mask is not None:
        inside = _marked(mask, grid, "the truth")
    scores = score_volume(judged.volume, expected.volume, inside)
    return replace(scores, warnings=tuple(dict.fromkeys(warnings)))


def _changed(config: ConfigT, choices: dict[str, Any]) -> ConfigT:
    """Return a config with some fields changed, if it has them."""
    known = [f.name for f in fields(config)]
    for name in choices:
        if name not in known and name not in OLD_CHOICES:
            nearest = get_close_matches(name, known, 1, 0.7)
            hint = f": did you mean {nearest[0]}" if nearest else f"; expected {', '.join(known)}"
            message = f"there is no choice {name!r}{hint}"
            raise InputError(message)
    return replace(config, **choices)


def _marked(mask: Any, grid: Grid, whose: str) -> NDArray[np.bool_]:  # noqa: ANN401
    """Return where a mask is above 0: an array of the shape of an image."""
    if np.shape(mask) != grid.shape:
        found, expected = np.shape(mask), grid.shape
        message = f"the mask has the shape {found}; expected that of {whose}, {expected}"
        raise InputError(message)
    return np.asarray(mask) > 0


def load(
    scan: Image,
    volume: int | None = None,
    size: tuple[float, float, float] | None = None,
    series: str | None = None,
) -> Scan:
    """Take in a path or a nibabel image.

    Args:
        scan: An image file, a DICOM folder, file or zip archive, or a nibabel image.
        volume: Which volume of a 4D series.
        size: Size of voxels in place of that in the header.
        series: Which series of DICOM input; see `--series`.

    Raises:
        InputError: it is neither, or unusable.
    """
    if isinstance(scan, str | Path):
        with taken_in([Path(scan)], series) as (one,):
            return one.with_notes(read_scan(one.path, volume, voxel_size=size))
    if hasattr(scan, "dataobj") and hasattr(scan, "affine"):
        return scan_from_image(scan, volume=volume, voxel_size=size)
    message = f"found a {type(scan).__name__}; expected a path or a nibabel image"
    raise InputError(message)
