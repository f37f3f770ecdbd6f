"""What this installation can do, what is missing, and how to put it right."""

import platform
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from inversesr.priors.catalogue import list_priors
from inversesr.resources import (
    available_memory_bytes,
    busy_cores,
    cores_left,
    gibibytes,
    usable_cores,
)

PACKAGES = (
    "inversesr",
    "torch",
    "monai",
    "nibabel",
    "numpy",
    "scipy",
    "scikit-image",
    "SimpleITK",
    "matplotlib",
    "jinja2",
)
EXTRAS = {
    "node": ("pynetdicom",),
    "notebooks": ("ipykernel", "nbclient", "nilearn"),
    "brainmask": ("deepbet",),
}
# What `run` needs for a whole head at 1 mm (docs/explanation/benchmarks.md).
COMFORTABLE_MEMORY_BYTES = 3 * 2**30


@dataclass(frozen=True)
class Check:
    """One thing looked at.

    Attributes:
        name: What was looked at.
        found: What was found.
        is_fine: Whether that is good enough.
        advice: What mends it, empty if it is fine.
    """

    name: str
    found: str
    is_fine: bool = True
    advice: str = ""


def examine() -> list[Check]:
    """Look at versions, extras, device, threads, memory and temporary space."""
    checks = [_package(name) for name in PACKAGES]
    checks.insert(0, Check("python", platform.python_version()))
    checks += [_extra(name, modules) for name, modules in EXTRAS.items()]
    return [*checks, _priors(), *_device(), _memory(), _temporary_folder()]


def _package(name: str) -> Check:
    try:
        return Check(name, version(name))
    except PackageNotFoundError:
        return Check(
            name, "missing", is_fine=False, advice="pip install --force-reinstall inversesr"
        )


def _extra(name: str, modules: tuple[str, ...]) -> Check:
    missing = [module for module in modules if find_spec(module) is None]
    if not missing:
        return Check(f"extra [{name}]", "installed")
    advice = f"for this extra: pip install 'inversesr[{name}]'"
    return Check(f"extra [{name}]", f"without {', '.join(missing)}", is_fine=True, advice=advice)


def _priors() -> Check:
    usable = [prior.name for prior in list_priors() if prior.usable]
    if usable:
        return Check("priors", ", ".join(usable))
    return Check("priors", "none: `tv` and `spline` need none", advice="inversesr prior list")


def verdict(checks: list[Check]) -> str:
    """Return in one sentence whether this installation is usable."""
    wrong = [check for check in checks if not check.is_fine]
    if not wrong:
        return "No problems found. `inversesr demo` shows an example."
    names = " and ".join(check.name for check in wrong)
    return f"Problems: {names}. Run the suggested commands, then `inversesr doctor` again."


def _device() -> list[Check]:
    import torch

    from inversesr.priors.networks.build import has_fast_bfloat16

    has_cuda = torch.cuda.is_available()
    device = torch.cuda.get_device_name() if has_cuda else "cpu"
    has_bfloat16 = has_fast_bfloat16(torch.device("cuda" if has_cuda else "cpu"))
    return [
        Check("device", device),
        _threads(),
        Check("bfloat16 units", "yes" if has_bfloat16 else "no: float32 is used"),
    ]


def _threads() -> Check:
    import torch

    n_cores, n_busy = usable_cores(), busy_cores()
    found = f"{min(torch.get_num_threads(), n_cores)} of {n_cores} cores"
    n = cores_left(n_busy)
    if n == n_cores:
        return Check("threads", found)
    advice = f"until they are free, `inversesr run --threads {n}` is faster"
    return Check("threads", f"{found}; {n_busy} busy with other work", advice=advice)


def _memory() -> Check:
    free = available_memory_bytes()
    is_fine = free >= COMFORTABLE_MEMORY_BYTES
    needed = gibibytes(COMFORTABLE_MEMORY_BYTES)
    advice = "" if is_fine else f"close other programs: a whole head at 1 mm needs {needed}"
    return Check("free memory", gibibytes(free), is_fine, advice)


def _temporary_folder() -> Check:
    try:
        with tempfile.TemporaryFile():
            return Check("temporary folder", "writable")
    except OSError:
        advice = "set TMPDIR to a folder that you can write to"
        return Check("temporary folder", "not writable", is_fine=False, advice=advice)
