"""The demonstration: thick slices of the MNI152 template, restored, scored and reported."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.config import Config
from inversesr.evaluation.scores import Scores, score_volume
from inversesr.io.atomic import check_folder_name, check_output
from inversesr.io.nifti import Scan, read_scan, write_volume
from inversesr.solvers.registry import BASELINE_NAME, DEFAULT_NAME
from inversesr.workflows.files import simulate_file
from inversesr.workflows.outputs import Outputs
from inversesr.workflows.run import run_job

THICKNESS_MM = 5.0
# what people get today, and what this project gives them; the last one is what is shown
SOLVERS = (BASELINE_NAME, DEFAULT_NAME)
HEAD = Path(__file__).parent / "demo_head.nii.gz"
TRUTH_NAME, THICK_NAME = "head_1mm.nii.gz", "head_5mm.nii.gz"


@dataclass(frozen=True, eq=False)
class Demo:
    """What the demonstration made.

    Attributes:
        outputs: The files of the run.
        scores: Scores of each solver against the head it started from.
    """

    outputs: Outputs
    scores: dict[str, Scores]

    def as_record(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        files = {name: str(path) for name, path in self.outputs.files.items()}
        return {"outputs": files, "scores": {k: asdict(v) for k, v in self.scores.items()}}


def run_demo(folder: Path, progress: Callable[[str, int, int], None], *, force: bool) -> Demo:
    """Make thick slices from the ICBM 2009 head, restore and score them.

    The head is the average of 152 people (Fonov et al. 2011, Unbiased average age-appropriate
    atlases for pediatric studies, doi:10.1016/j.neuroimage.2010.07.033), without the skull.

    Args:
        folder: Where to write.
        progress: Called with a phase, the steps done and their total.
        force: Whether existing results may be replaced.

    Raises:
        InputError: the folder cannot be written to.
    """
    truth_path, thick_path = folder / TRUTH_NAME, folder / THICK_NAME
    check_folder_name(folder)
    check_output([truth_path, thick_path], force=True)
    head = _head()
    folder.mkdir(parents=True, exist_ok=True)
    if force or not truth_path.exists():
        write_volume(truth_path, head.volume, head)
    config = SimulateConfig(thickness_mm=THICKNESS_MM)
    simulate_file(truth_path, thick_path, config, force=True)
    scores = {}
    for solver in SOLVERS:
        settings = Config(solver=solver)
        sub = folder / solver
        result, outputs = run_job([thick_path], settings, sub, force=force, progress=progress)
        scores[solver] = score_volume(result.volume, read_scan(truth_path).volume)
    return Demo(outputs, scores)


@contextmanager
def demo_head() -> Iterator[Path]:
    """Give the demo's head as a temporary file."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / TRUTH_NAME
        head = _head()
        write_volume(path, head.volume, head)
        yield path


def _head() -> Scan:
    """Return the head of the package, its brightest voxel 1."""
    volume = read_scan(HEAD).volume
    scaled = volume.with_data(volume.data / volume.data.max())
    return replace(Scan.made_here(scaled), name="the demo's head")
