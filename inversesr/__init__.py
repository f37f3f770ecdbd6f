"""Thin slices from thick-slice brain MRI.

    import inversesr
    result = inversesr.restore("scan.nii.gz")
    result.image.to_filename("scan_thin.nii.gz")

Importing the package imports neither torch nor anything else that is slow.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from inversesr.config import Config, SimulateConfig
from inversesr.errors import InputError, InverseSRError

if TYPE_CHECKING:
    from inversesr.api import evaluate, restore, simulate
    from inversesr.report import figures as plot

__all__ = [
    "Config",
    "InputError",
    "InverseSRError",
    "SimulateConfig",
    "evaluate",
    "plot",
    "restore",
    "simulate",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 (PEP 562)
    if name in ("evaluate", "restore", "simulate"):
        from inversesr import api as notebook

        return getattr(notebook, name)
    if name == "plot":
        return import_module("inversesr.report.figures")
    message = f"module 'inversesr' has no attribute {name!r}"
    raise AttributeError(message)
