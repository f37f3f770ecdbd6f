"""The record of a run on a series, which is the BIDS sidecar of its result too."""

import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np

from inversesr.acquisition.registration import motion_mm
from inversesr.io.series import Series
from inversesr.resources import peak_memory_bytes
from inversesr.workflows.record import NOT_FOR_DIAGNOSIS
from inversesr.workflows.series.config import SeriesConfig
from inversesr.workflows.series.mean import Mean
from inversesr.workflows.series.plan import Plan

# What holds for the result as it does for the series, and names nobody.
KEPT = ("TaskName", "EchoTime", "FlipAngle", "MagneticFieldStrength", "SkullStripped")


def series_record(
    series: Series, plan: Plan, mean: Mean, choices: SeriesConfig, inputs: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Return everything needed to repeat and to judge a run, as plain data.

    There is no SliceTiming: all slices of a frame are of one time. Frame j shows the head at
    StartTime + j RepetitionTime.
    """
    model, fine = mean.model, mean.model.fine
    axis = model.slice_axis
    moved = [motion_mm(pose, fine) for pose in model.poses]
    sidecar = series.scan.sidecar
    return {
        **{name: sidecar[name] for name in KEPT if name in sidecar},
        "Description": "Thin slices at finer times restored from a series of thick slices",
        "IntendedUse": NOT_FOR_DIAGNOSIS,
        "RepetitionTime": model.frame_s,
        "StartTime": 0.0,
        "SliceTimingCorrected": bool(plan.timing) and bool(np.any(model.slice_times_s)),
        "SliceThickness": fine.spacing_mm[axis],
        "SpacingBetweenSlices": fine.spacing_mm[axis],
        "Sources": [f"bids:raw:{facts['name']}" for facts in inputs],
        "GeneratedBy": [{"Name": "inversesr", "Version": version("inversesr")}],
        "warnings": list(dict.fromkeys([*plan.warnings, *mean.notes])),
        "inputs": list(inputs),
        "config": asdict(choices),
        "solver": {"asked": choices.solver, "used": mean.solver, "temporal": choices.temporal},
        "acquisition": asdict(model.acquisition),
        "measured": {
            "shape": [*model.scan_grid.shape, model.n_volumes],
            "spacing_mm": list(model.scan_grid.spacing_mm),
            "RepetitionTime": model.tr_s,
            "SliceTiming": model.slice_times_s.tolist(),
            "SliceTiming_from": plan.timing or None,
        },
        "motion": {
            "found": plan.is_moving,
            "largest_mm": max(moved),
            "median_mm": float(np.median(moved)),
        },
        "output": {
            "shape": [*fine.shape, model.n_frames],
            "spacing_mm": list(fine.spacing_mm),
            "affine": fine.affine.tolist(),
        },
        "peak_memory_bytes": peak_memory_bytes(),
        "software": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "numpy", "scipy", "nibabel")},
        },
    }
