"""One series from file to files: read, restore window by window, write frames, record and report.

Memory is bounded by windows of volumes; frames go to the disk as they are made. An interrupted run
goes on with the next window when it is called again in the same way.
"""

from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from inversesr.errors import InputError
from inversesr.evaluation.temporal import tsnr
from inversesr.io.atomic import atomic_folder, check_output
from inversesr.io.json_text import json_text
from inversesr.io.paths import from_home
from inversesr.io.series import Series, read_series, write_series
from inversesr.io.sidecar import sidecars_of
from inversesr.measurements.series import SeriesModel, windows
from inversesr.report.series import Pictured, write_series_report
from inversesr.resources import set_threads
from inversesr.solvers.protocol import Progress
from inversesr.workflows.outputs import Outputs, output_names
from inversesr.workflows.record import file_facts, sidecar_facts
from inversesr.workflows.restore import choose_device
from inversesr.workflows.series.config import SeriesConfig
from inversesr.workflows.series.mean import Mean, find_mean, noise_of
from inversesr.workflows.series.motion import find_motion
from inversesr.workflows.series.plan import Plan, plan_series, row_of
from inversesr.workflows.series.record import series_record
from inversesr.workflows.series.window import restore_window
from inversesr.workflows.series.work import Work

# Bytes of the frames of one window; consistency holds several times as much.
WINDOW_BYTES = 160 * 2**20
LARGEST_WINDOW, LEAST_WINDOW, OVERLAP = 64, 12, 4
# Frames that the tSNR of the result is computed from at a time: planes along the last axis.
PLANES_AT_ONCE = 4


@dataclass(frozen=True, eq=False)
class SeriesResult:
    """What a run gave.

    Attributes:
        outputs: Files that were written, by what they hold.
        record: Everything needed to repeat and to judge the run.
        warnings: What a reader should know, in sentences.
    """

    outputs: dict[str, Path]
    record: dict[str, Any]
    warnings: tuple[str, ...]


def run_series(
    path: Path,
    choices: SeriesConfig,
    place: Path | None = None,
    *,
    force: bool = False,
    progress: Progress = lambda _phase, _done, _total: None,
) -> SeriesResult:
    """Restore a series from file to files.

    Args:
        path: A 4D NIfTI file.
        choices: Choices of the run.
        place: Where to write: a folder, or the name of the image; None for beside the series.
        force: Whether existing results may be replaced.
        progress: Called with a phase, the steps done and their total.

    Raises:
        InputError: something in the way was found before any work was done.
    """
    start = perf_counter()
    path = from_home(path)
    outputs = output_names(path, None if place is None else from_home(place))
    files = _files(outputs)
    _refuse_inputs(path, files)
    series = read_series(path)
    plan = plan_series(series, choices)
    check_output(list(files.values()), force=force)
    set_threads(choices.threads)
    inputs = [file_facts(path)]
    work = Work(outputs.image.parent / f".{outputs.image.name}.inversesr-series")
    work.begin({"inputs": inputs, "sidecars": sidecar_facts([path]), **_key(choices)})
    mean, sigma = _mean(series, plan, work, choices, progress)
    frames, windows_done = _frames(series, mean, work, choices, progress)
    measured, restored = tsnr(series.y), tsnr_of_frames(frames)
    record = series_record(series, plan, mean, choices, inputs)
    record |= {
        "noise": sigma,
        "windows": windows_done,
        "tsnr": _medians(series, measured, restored),
    }
    pictured = Pictured(series.y, frames, measured, restored, mean.model)
    with atomic_folder(outputs.image.parent, outputs.image.name) as partial:
        rows = np.array([row_of(pose) for pose in mean.model.poses])
        np.savetxt(partial / files["motion"].name, rows, fmt="%.8f")
        write_series(
            partial / outputs.image.name, frames, mean.model.fine, series.scan,
            mean.model.frame_s,
        )  # fmt: skip
        record["seconds"] = {"total": perf_counter() - start}
        record["files"] = {role: file.name for role, file in files.items()}
        write_series_report(partial / outputs.report.name, pictured, record)
        (partial / outputs.sidecar.name).write_text(json_text(record, indent=2) + "\n")
    work.end()
    return SeriesResult(files, record, tuple(record["warnings"]))


def _files(outputs: Outputs) -> dict[str, Path]:
    motion = outputs.sidecar.with_name(outputs.sidecar.stem + "_motion.txt")
    return {
        "image": outputs.image,
        "sidecar": outputs.sidecar,
        "report": outputs.report,
        "motion": motion,
    }


def _refuse_inputs(path: Path, files: dict[str, Path]) -> None:
    inputs = [file.resolve() for file in (path, *sidecars_of(path))]
    for file in files.values():
        if file.resolve() in inputs:
            message = f"{file} is an input and would be replaced: give another place with -o"
            raise InputError(message)


def _key(choices: SeriesConfig) -> dict[str, Any]:
    """Return what decides on the result beside the series."""
    chosen = {name: v for name, v in asdict(choices).items() if name not in ("threads", "device")}
    given = (choices.motion, choices.slice_timing)
    read = [file_facts(Path(name)) for name in given if name and Path(name).is_file()]
    return {"config": chosen, "files": read, "version": version("inversesr")}


def _mean(
    series: Series, plan: Plan, work: Work, choices: SeriesConfig, progress: Progress
) -> tuple[Mean, float]:
    device = choose_device(choices.device)
    kept = work.mean()
    if kept is not None:
        model = replace(plan.model, poses=tuple(kept["poses"]))
        x = torch.from_numpy(kept["x"]).to(device)
        return Mean(x, model, kept["solver"], tuple(kept["notes"])), float(kept["sigma"])

    def read(t: int) -> torch.Tensor:
        return torch.from_numpy(series.y[t]).to(device)

    sigma = noise_of(read, len(series.y))
    mean = find_mean(read, plan.model, sigma, plan.config, progress, is_moving=plan.is_moving)
    facts = {"solver": mean.solver, "notes": list(mean.notes), "sigma": sigma}
    work.keep_mean(mean.x.cpu().numpy(), np.array(mean.model.poses), facts)
    return mean, sigma


def _frames(
    series: Series, mean: Mean, work: Work, choices: SeriesConfig, progress: Progress
) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """Restore all windows that are not done yet; return the frames and what is known of them."""
    model = mean.model
    frames = work.frames((*model.fine.shape, model.n_frames))
    done = work.done()
    motion = None
    if not choices.keep_motion:
        motion = find_motion(lambda t: torch.from_numpy(series.y[t]).to(mean.x), model, mean.x)
    for core, looked in windows(model.n_volumes, window_size(model), OVERLAP):
        progress("restoring volumes", core.start, model.n_volumes)
        if str(core.start) in done:
            continue
        y = torch.from_numpy(series.y[looked.start : looked.stop]).to(mean.x)
        found = restore_window(
            model,
            mean.x,
            y,
            (core, looked),
            (choices.temporal, choices.consistency),
            motion=motion,
        )
        where = model.frames_of(core)
        frames[..., where.start : where.stop] = np.moveaxis(found.frames.cpu().numpy(), 0, -1)
        if isinstance(frames, np.memmap):
            frames.flush()
        done[str(core.start)] = {
            "volumes": [core.start, core.stop - 1],
            "misfit": found.misfit,
            "noise": found.noise,
            "consistency": found.status,
        }
        work.keep_done(done)
    progress("restoring volumes", model.n_volumes, model.n_volumes)
    return frames, done


def window_size(model: SeriesModel) -> int:
    """Return how many volumes are looked at together, so that their frames fit into memory."""
    ratio = model.tr_s / model.frame_s
    n_bytes = 4.0 * np.prod(model.wide.shape) * ratio
    return int(np.clip(WINDOW_BYTES / n_bytes, LEAST_WINDOW, LARGEST_WINDOW))


def tsnr_of_frames(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the tSNR of frames that lie on a disk, shape (X, Y, Z, n_frames)."""
    n = frames.shape[2]
    parts = [
        tsnr(np.moveaxis(np.asarray(frames[:, :, k : k + PLANES_AT_ONCE]), -1, 0))
        for k in range(0, n, PLANES_AT_ONCE)
    ]
    return np.concatenate(parts, axis=2)


def _medians(
    series: Series, measured: NDArray[np.float32], restored: NDArray[np.float32]
) -> dict[str, float]:
    """Return the median tSNR of the head, as it was measured and as it was restored."""
    mean = series.scan.volume.data
    inside = mean > 0.3 * np.percentile(mean, 98)
    # the head in fine voxels: those of the same quantiles of brightness lie about the same places
    zoom = [n / m for n, m in zip(restored.shape, mean.shape, strict=True)]
    index = [
        np.minimum((np.arange(n) / z).astype(int), m - 1)
        for n, z, m in zip(restored.shape, zoom, mean.shape, strict=True)
    ]
    fine_inside = inside[np.ix_(*index)]
    return {
        "measured": float(np.median(measured[inside])),
        "restored": float(np.median(restored[fine_inside])),
    }
