"""`inversesr dwi`: a diffusion-weighted series from files to files, with its maps."""

import hashlib
import shutil
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inversesr.dwi.config import DwiConfig
from inversesr.dwi.maps import MEANINGS, check_dipy, diffusion_maps, tissue_mask
from inversesr.errors import InputError
from inversesr.io.atomic import atomic_folder, check_output, is_image_name
from inversesr.io.checks import stem
from inversesr.io.dicom.taking import Taken, beside, taken_in
from inversesr.io.gradients import (
    Gradients,
    Series,
    gradient_files,
    read_gradients,
    read_series,
)
from inversesr.io.json_text import json_text
from inversesr.io.masks import read_mask
from inversesr.io.nifti import write_volume, write_volumes
from inversesr.io.paths import from_home
from inversesr.report.dwi import write_dwi_report
from inversesr.resources import set_threads
from inversesr.volume import Grid, Volume
from inversesr.workflows.dwi_restore import Progress, Restored, restore_series, silent
from inversesr.workflows.record import file_facts

Maps = dict[str, NDArray[np.float32]]
# BIDS: the model, and the parameter, of a map
ENTITIES = {
    "adc": ("adc", "adc"),
    "adcrobust": ("adcrobust", "adc"),
    "md": ("tensor", "md"),
    "fa": ("tensor", "fa"),
}


@dataclass(frozen=True)
class DwiOutputs:
    """Names of the files that a run writes.

    Attributes:
        image: The series with thin slices.
        bval: Its b-values, a copy.
        bvec: Its directions, a copy.
        sidecar: Everything needed to repeat and to judge the run.
        report: Pictures for people.
        maps: ("thin" or "thick", name of a map) -> its file.
    """

    image: Path
    bval: Path
    bvec: Path
    sidecar: Path
    report: Path
    maps: dict[tuple[str, str], Path] = field(default_factory=dict)

    @property
    def files(self) -> dict[str, Path]:
        """What there is -> its file."""
        own = ("image", "bval", "bvec", "sidecar", "report")
        found = {name: getattr(self, name) for name in own}
        return found | {f"{name} {which}": path for (which, name), path in self.maps.items()}


def dwi_names(scan: Path, place: Path | None, *, has_tensor: bool) -> DwiOutputs:
    """Return where the results of a series go, by names of BIDS.

    sub-01_dwi.nii.gz -> sub-01_desc-sr_dwi.nii.gz, sub-01_model-tensor_desc-sr_param-fa_dwimap...

    Args:
        scan: Image file.
        place: A folder; None for beside the scan.
        has_tensor: Whether MD and FA are written.

    Raises:
        InputError: place is the name of a file.
    """
    if place is not None and is_image_name(place):
        message = f"{place} names one image and many files are written: give a folder with -o"
        raise InputError(message)
    folder = scan.parent if place is None else place
    name = stem(scan)
    start = name.removesuffix("_dwi")
    base = f"{start}_desc-sr_dwi"
    maps = {
        (which, kind): folder
        / f"{start}_model-{model}_desc-{label}_param-{parameter}_dwimap.nii.gz"
        for kind, (model, parameter) in ENTITIES.items()
        for which, label in (("thin", "sr"), ("thick", "thick"))
        if has_tensor or model != "tensor"
    }
    files = [folder / f"{base}.{ending}" for ending in ("nii.gz", "bval", "bvec", "json")]
    return DwiOutputs(files[0], files[1], files[2], files[3], folder / f"{name}_report.html", maps)


@dataclass(frozen=True)
class DwiInputs:
    """Files that a user named beside the scan.

    Attributes:
        bval: b-values; None for the file beside the scan.
        bvec: Directions; None for the file beside the scan.
        mask: Where maps are fitted; None for the head.
        series: Which series of DICOM input.
    """

    bval: Path | None = None
    bvec: Path | None = None
    mask: Path | None = None
    series: str | None = None


def run_dwi(
    scan: Path,
    config: DwiConfig,
    inputs: DwiInputs,
    folder: Path | None = None,
    *,
    force: bool = False,
    progress: Progress = silent,
) -> tuple[dict[str, Any], DwiOutputs]:
    """Restore a series and fit its maps, from files to files.

    Args:
        scan: 4D image file, or a DICOM folder, file or archive.
        config: Choices of the run.
        inputs: What was named beside it.
        folder: Where to write; None for beside the scan.
        force: Whether existing results may be replaced.
        progress: Called with a phase, the steps done and their total.

    Returns:
        The record, as in the sidecar, and the names of the files.

    Raises:
        InputError: something in the way was found before any work was done.
    """
    with taken_in([scan], inputs.series) as taken:
        one = taken[0]
        place = None if folder is None else from_home(folder)
        return _run(one, config, inputs, beside(one, place), force=force, progress=progress)


def _run(
    one: Taken,
    config: DwiConfig,
    inputs: DwiInputs,
    place: Path | None,
    *,
    force: bool,
    progress: Progress,
) -> tuple[dict[str, Any], DwiOutputs]:
    series = read_series(one.path)
    bval, bvec = gradient_files(one.path, inputs.bval, inputs.bvec)
    gradients = read_gradients(bval, bvec, len(series.data), one.shown.name)
    if gradients.has_directions:
        check_dipy()
    outputs = dwi_names(one.shown, place, has_tensor=gradients.has_directions)
    check_output(list(outputs.files.values()), force=force)
    set_threads(config.threads)
    mask = inside = None
    if inputs.mask is not None:
        mask = from_home(inputs.mask)
        inside, _ = read_mask(mask, series.scan.volume.grid)
    facts = [one.facts or file_facts(one.path), *map(file_facts, (bval, bvec))]
    restored = restore_series(series, gradients, config, progress)
    check_orientation(series.scan.volume.grid, restored.grid)
    progress("fitting maps", 0, 2)
    thick = _maps(series.data, gradients, inside, restored.sigma)
    progress("fitting maps", 1, 2)
    if mask is not None:
        inside, _ = read_mask(mask, restored.grid)
    thin = _maps(restored.data, gradients, inside, restored.sigma)
    progress("fitting maps", 2, 2)
    record = _record(series, gradients, restored, config, facts, outputs)
    with atomic_folder(outputs.image.parent, outputs.image.name) as partial:
        write_volumes(partial / outputs.image.name, restored.data, restored.grid, series.scan)
        shutil.copyfile(bval, partial / outputs.bval.name)
        shutil.copyfile(bvec, partial / outputs.bvec.name)
        grids = {"thin": restored.grid, "thick": series.scan.volume.grid}
        for (which, name), path in outputs.maps.items():
            image = (thin if which == "thin" else thick)[name]
            write_volume(partial / path.name, Volume(image, grids[which]), series.scan)
        (partial / outputs.sidecar.name).write_text(json_text(record, indent=2) + "\n")
        pictures = {"thick": thick, "thin": thin}
        write_dwi_report(partial / outputs.report.name, pictures, grids, record)
    return record, outputs


def check_orientation(thick: Grid, thin: Grid) -> None:
    """Make sure that directions of the thick series hold for the thin one.

    Raises:
        RuntimeError: axes were permuted, turned or mirrored, which no restoration does.
    """
    same_hand = np.linalg.det(thick.affine[:3, :3]) * np.linalg.det(thin.affine[:3, :3]) > 0.0
    if not same_hand or not np.allclose(thick.directions, thin.directions, atol=1e-4):
        message = "the axes of the restored series are not those of the scan"
        raise RuntimeError(message)


def _maps(
    data: NDArray[np.float32],
    gradients: Gradients,
    mask: NDArray[np.bool_] | None,
    sigma: float,
) -> Maps:
    inside = tissue_mask(data, gradients, sigma) if mask is None else mask
    return diffusion_maps(data, gradients, inside, sigma)


def _record(
    series: Series,
    gradients: Gradients,
    restored: Restored,
    config: DwiConfig,
    inputs: list[dict[str, Any]],
    outputs: DwiOutputs,
) -> dict[str, Any]:
    acquisition = restored.acquisition
    thin = acquisition.fine_spacing_mm[acquisition.slice_axis]
    return {
        "Description": "thin slices restored from thick ones; research use only",
        "Sources": [fact.get("name") for fact in inputs],
        "SliceThickness": thin,
        "inversesr": version("inversesr"),
        "inputs": inputs,
        "config": asdict(config),
        "acquisition": {
            "slice_axis": acquisition.slice_axis,
            "slice_spacing_mm": acquisition.slice_spacing_mm,
            "thickness_mm": acquisition.thickness_mm,
            "profile": acquisition.profile,
            "thin_spacing_mm": thin,
            "assumptions": list(acquisition.assumptions),
        },
        "method": "joint regression within the scan, guided by b0 and mean weighted volume",
        "consistency": "exact",
        "largest_share": restored.largest_share,
        "noise": restored.sigma,
        "volumes": {
            "n": len(series.data),
            "n_b0": int(gradients.is_b0.sum()),
            "bvals": sorted({round(float(b)) for b in gradients.bvals}),
            "bvec": "copied unchanged: axes and handedness are those of the scan",
        },
        "maps": {path.name: MEANINGS[name] for (_, name), path in outputs.maps.items()},
        "warnings": [*series.scan.warnings, *restored.warnings],
        "voxels_sha256": hashlib.sha256(restored.data.tobytes()).hexdigest(),
    }
