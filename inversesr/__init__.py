"""Thin slices from thick-slice brain MRI.

    import inversesr
    result = inversesr.restore("scan.nii.gz")
    result.image.to_filename("scan_thin.nii.gz")

Options classes of solvers are here too: inversesr.restore(scan, solver=inversesr.LatentPnP()).

Importing the package imports neither torch nor anything else that is slow.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.config import Config
from inversesr.errors import InputError, InverseSRError
from inversesr.solvers.registry import SOLVERS

# Threads of OpenMP that wait for each other sleep. By default they keep their cores busy, and
# where another program takes a core that costs ten times the time. Read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:
    from inversesr.api import evaluate, open_prior, restore, simulate
    from inversesr.report import figures as plot

__all__ = [
    "Config",
    "InputError",
    "InverseSRError",
    "SimulateConfig",
    "evaluate",
    "open_prior",
    "plot",
    "restore",
    "simulate",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 (PEP 562)
    if name in ("evaluate", "restore", "simulate", "open_prior"):
        from inversesr import api

        return getattr(api, name)
    for module, options in SOLVERS.values():
        if name == options:
            return getattr(import_module(module), name)
    if name == "plot":
        return import_module("inversesr.report.figures")
    message = f"module 'inversesr' has no attribute {name!r}"
    raise AttributeError(message)
