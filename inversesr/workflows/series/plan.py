"""From a series and choices to its model: times, slices, motion."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inversesr.acquisition.content import check_content
from inversesr.acquisition.geometry import Acquisition, describe_acquisition, find_slice_axis
from inversesr.acquisition.slice_timing import repetition_time, slice_times
from inversesr.config import Config
from inversesr.errors import InputError
from inversesr.io.series import Series, read_motion, read_numbers
from inversesr.measurements.series import SeriesModel
from inversesr.volume import Affine
from inversesr.workflows.series.config import SeriesConfig

AT_REST = "none"
SAME_TIME = 1e-6
# Steps finer than this share of the measured ones hold nothing that was measured.
FINEST_SHARE = 1.0 / 8.0
LABELLING = ("ArterialSpinLabelingType", "LabelingDuration", "PostLabelingDelay")


@dataclass(frozen=True, eq=False)
class Plan:
    """How a series is to be restored.

    Attributes:
        model: Its model; poses are those that are given, or none.
        config: Choices by which the mean is restored.
        is_moving: Whether poses are to be found.
        timing: Where the times of slices come from; empty where none are stated.
        warnings: What a reader should know, in sentences.
    """

    model: SeriesModel
    config: Config
    is_moving: bool
    timing: str
    warnings: tuple[str, ...]


def plan_series(series: Series, choices: SeriesConfig) -> Plan:
    """Find out how a series was measured.

    Raises:
        InputError: what is stated contradicts itself, or there is nothing to restore.
    """
    scan, n = series.scan, len(series.y)
    check_content(scan)
    tr, odd = repetition_time(series)
    acquisition, config = _acquisition(series, choices, tr)
    n_slices = scan.volume.grid.shape[acquisition.slice_axis]
    times, timing = slice_times(series, _given_times(choices), tr, n_slices)
    frame = _frame(choices, tr)
    warnings = [*scan.warnings, *acquisition.warnings, *odd]
    if not timing:
        warnings.append(
            "the times of slices are not stated: all slices of a volume are taken as measured at "
            "once (state them in the sidecar, or with --slice-timing)"
        )
    if any(word in scan.sidecar for word in LABELLING) or scan.name.endswith("_asl"):
        if frame < tr:
            message = (
                f"{scan.name} alternates between labelled and control volumes, between which "
                "nothing can be interpolated in time: leave out --tr"
            )
            raise InputError(message)
        times = np.zeros(n_slices)
        warnings.append(
            "labelled and control volumes alternate: slices are not interpolated in time, and "
            "keep the delays at which they were measured"
        )
    poses = _given_poses(choices, n)
    is_moving = choices.motion is None
    model = SeriesModel(scan.volume.grid, acquisition, times, tr, frame, poses)
    return Plan(model, config, is_moving, timing, tuple(dict.fromkeys(warnings)))


def _acquisition(series: Series, choices: SeriesConfig, tr: float) -> tuple[Acquisition, Config]:
    grid = series.scan.volume.grid
    axis = find_slice_axis(grid, series.scan.slice_axis)
    within = min(s for a, s in enumerate(grid.spacing_mm) if a != axis)
    config = choices.of_a_volume(within)
    spacing = grid.spacing_mm[axis]
    is_thin = spacing <= config.target_mm[axis] * 1.05 if config.target_mm else False
    is_finer_in_time = choices.tr is not None and choices.tr < tr
    if is_thin and is_finer_in_time and choices.thickness_mm is None:
        # slices are thin already: only time is refined
        x, y, z = grid.spacing_mm
        return Acquisition(axis, spacing, spacing, choices.profile, (x, y, z)), config
    acquisition = describe_acquisition(series.scan, config)
    if acquisition.missing:
        message = (
            f"{series.scan.name} lacks slices by its sidecar; expected a whole series: restore "
            "its volumes one by one with `inversesr run`"
        )
        raise InputError(message)
    return acquisition, config


def _frame(choices: SeriesConfig, tr: float) -> float:
    frame = tr if choices.tr is None else choices.tr
    if not tr * FINEST_SHARE * (1.0 - SAME_TIME) <= frame <= tr * (1.0 + SAME_TIME):
        message = (
            f"--tr is {frame:g} s and volumes were measured every {tr:g} s; expected "
            f"{tr * FINEST_SHARE:g} to {tr:g} s: coarser steps are every n-th volume, finer ones "
            "hold nothing that was measured"
        )
        raise InputError(message)
    return frame


def _given_times(choices: SeriesConfig) -> list[float] | None:
    given = choices.slice_timing
    if given is None:
        return None
    words = given.split(",")
    try:
        return [float(word) for word in words]
    except ValueError:
        return [number for row in read_numbers(Path(given)) for number in row]


def _given_poses(choices: SeriesConfig, n: int) -> tuple[Affine, ...]:
    if choices.motion in (None, AT_REST):
        return (np.eye(4),) * n
    motion = read_motion(Path(choices.motion or ""), n)
    poses = [pose_of(row) for row in motion]
    # frames lie in the pose of the first volume
    back = np.linalg.inv(poses[0])
    return tuple(back @ pose for pose in poses)


def pose_of(row: Affine) -> Affine:
    """Return where a head went, from six numbers as SPM writes them.

    world of the reference = T R_x R_y R_z world of the volume, about the origin of the world.

    Args:
        row: Shift along x, y and z in mm, rotation about x, y and z in radians.

    Reference: spm_matrix.m of SPM12.
    """
    pose = np.eye(4)
    pose[:3, 3] = row[:3]
    for axis, angle in enumerate(row[3:]):
        c, s = np.cos(angle), np.sin(angle)
        i, j = [(1, 2), (0, 2), (0, 1)][axis]
        turn = np.eye(4)
        turn[i, i] = turn[j, j] = c
        turn[i, j], turn[j, i] = s, -s
        pose = pose @ turn
    return pose


def row_of(pose: Affine) -> Affine:
    """Return the six numbers of a pose; the inverse of `pose_of`."""
    R = pose[:3, :3]
    pitch_y = np.arcsin(np.clip(R[0, 2], -1.0, 1.0))
    return np.array(
        [*pose[:3, 3], np.arctan2(R[1, 2], R[2, 2]), pitch_y, np.arctan2(R[0, 1], R[0, 0])]
    )
