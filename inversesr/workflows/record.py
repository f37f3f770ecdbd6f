"""The record of a run: everything needed to repeat and to judge it, as plain data."""

import hashlib
import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from inversesr.config import OLD_SOLVERS
from inversesr.io.sidecar import name_of_sidecar, sidecars_of
from inversesr.io.source import files_of
from inversesr.report.narrative import prior_sentences
from inversesr.resources import peak_memory_bytes
from inversesr.result import Map, Result, Source

NOT_FOR_DIAGNOSIS = "Research use only: not for diagnosis."


def provenance(result: Result, inputs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Everything needed to repeat and to judge a run, as plain data."""
    grid, slice_axis = result.volume.grid, result.sources[0].acquisition.slice_axis
    return {
        "Description": "Thin slices restored from thick-slice MRI",
        "IntendedUse": NOT_FOR_DIAGNOSIS,
        # a sidecar above the scan holds for the result too, but for these
        "SliceThickness": grid.spacing_mm[slice_axis],
        "SpacingBetweenSlices": grid.spacing_mm[slice_axis],
        "SkullStripped": bool(result.sources[0].scan.sidecar.get("SkullStripped", False)),
        "Sources": [f"bids:raw:{facts['name']}" for facts in inputs],
        "GeneratedBy": [{"Name": "inversesr", "Version": version("inversesr")}],
        "warnings": list(result.warnings),
        "inputs": list(inputs),
        "config": asdict(result.config),
        "solver": {
            "asked": result.solver_asked,
            "used": result.solver_used,
            "status": result.status,
            **result.history,
            **result.facts,
        },
        "prior": list(prior_sentences(result)),
        "prior_card": result.prior_card,
        "consistency": result.consistency,
        "maps": {name: _map_record(found) for name, found in result.maps.items()},
        "scans": [_source_record(source) for source in result.sources],
        "output": {
            "shape": list(grid.shape),
            "spacing_mm": list(grid.spacing_mm),
            "axcodes": grid.axcodes,
            "affine": grid.affine.tolist(),
        },
        "seconds": dict(result.seconds),
        "peak_memory_bytes": peak_memory_bytes(),
        "software": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "numpy", "scipy", "nibabel")},
        },
    }


def _source_record(source: Source) -> dict[str, Any]:
    return {
        "name": source.scan.name,
        "shape": list(source.scan.volume.grid.shape),
        "spacing_mm": list(source.scan.volume.grid.spacing_mm),
        "acquisition": asdict(source.acquisition),
        "noise": source.noise,
        "before_consistency": asdict(source.before_consistency),
        "agreement": asdict(source.agreement),
        "motion_mm": source.motion_mm,
    }


def _map_record(found: Map) -> dict[str, str]:
    return {"meaning": found.meaning, "unit": found.unit, "source": found.source}


def file_facts(path: Path) -> dict[str, Any]:
    """Name, size and sha256 of a file: enough to know it again.

    Those of other files that belong to an image, such as the voxels of a header, stand below
    "with".
    """
    others = [_facts_of_one(part) for part in files_of(path) if part != path]
    return _facts_of_one(path) | ({"with": others} if others else {})


def _facts_of_one(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": digest}


def sidecar_facts(scans: Sequence[Path]) -> list[list[dict[str, Any]]]:
    """Facts of the BIDS sidecars of each scan, named from its folder, the nearest one last."""
    return [
        [file_facts(file) | {"name": name_of_sidecar(file, scan)} for file in sidecars_of(scan)]
        for scan in scans
    ]


def read_record(path: Path) -> dict[str, Any]:
    """Read the record of a run; an empty one where it is damaged or there is none."""
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def present_solver_of(solver: str) -> str:
    """Return the present name of a solver that a file of an earlier version names."""
    return OLD_SOLVERS.get(solver, solver)
