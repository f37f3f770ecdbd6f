"""A whole run with a prior of the Brain LDM's exact architecture, phase by phase.

The weights are random, so the image means nothing; seconds and memory are those of the real
weights. What random weights cannot do is look like a head: the prior's mean image is timed, and
the head itself is put in its place before the run, so that the alignment has something to find.
"""

import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from scipy.ndimage import affine_transform

from inversesr.acquisition.simulation import simulate
from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.benchmarks.networks import GIB, measure_networks, random_tensors
from inversesr.config import Config
from inversesr.io.nifti import Scan, read_scan, write_volume
from inversesr.priors.brain_ldm import BRAIN_LDM
from inversesr.priors.card import FileCard, PriorCard, dump_card, grid_of, parse_card
from inversesr.priors.instrumented import instrument
from inversesr.priors.loading import load_prior
from inversesr.priors.store import CARD_NAME, digest, write_text
from inversesr.priors.tensors import cached, save_tensors
from inversesr.resources import peak_memory_bytes
from inversesr.solvers.latent.preparation import mean_image, mean_recipe
from inversesr.solvers.registry import LATENT_NAME
from inversesr.volume import Grid, Volume
from inversesr.workflows.demo import demo_head
from inversesr.workflows.run import run_job
from inversesr.workflows.worker import new_process

THICKNESS_MM = 5.0
# Stock autograd through the whole decoder needs more memory than most machines have: it is timed
# on a grid this much shorter along each axis, and scaled by voxels.
SHRINKING = 2


@dataclass(frozen=True)
class Phase:
    """One row: what a part of the run took.

    Attributes:
        phase: Name of the part, or "total".
        seconds: Wall-clock time, or None when it was not run.
        peak_gib: Largest resident memory of the process; with the total only.
        note: What should be known of the row.
    """

    phase: str
    seconds: float | None
    peak_gib: float | None = None
    note: str = ""


def measure_default_run(
    card: Mapping[str, Any] | None = None, settings: tuple[str, ...] = ()
) -> list[Phase]:
    """Run the demo's head, in slices of 5 mm, through a prior with random weights.

    Args:
        card: Content of a `prior.json`; None takes the UK Biobank brain LDM.
        settings: Options of the solver, as `--set` takes them.

    Returns:
        The phases of the run in order, its total, and one iteration of the published method.
    """
    content = dict(card or BRAIN_LDM)
    with new_process() as pool:
        phases = pool.submit(_run, content, settings).result()
    return [*phases, stock_iteration(content)]


def stock_iteration(content: Mapping[str, Any]) -> Phase:
    """Time one iteration of the published method: decode and gradient by stock autograd, float32.

    On a smaller grid, scaled by voxels; what the loss adds is not counted.
    """
    grid = dict(content["grid"])
    grid["shape"] = [n // SHRINKING for n in grid["shape"]]
    (row,) = measure_networks(["decode with gradient"], ["stock"], {**content, "grid": grid})
    seconds = None if row.seconds is None else row.seconds * SHRINKING**3
    size = " x ".join(str(n) for n in grid["shape"])
    note = row.note or f"{SHRINKING**3} times that of {size} voxels"
    return Phase("one iteration of inversesr-dec, stock", seconds, note=note)


def _run(content: Mapping[str, Any], settings: tuple[str, ...]) -> list[Phase]:
    """Do everything in this process and a temporary folder."""
    with tempfile.TemporaryDirectory() as name, demo_head() as head:
        folder = Path(name)
        os.environ["INVERSESR_HOME"] = str(folder / "home")
        card = write_random_prior(folder / "prior", parse_card(content))
        truth = on_grid(read_scan(head).volume, grid_of(card))
        thick = simulate(truth, SimulateConfig(thickness_mm=THICKNESS_MM))
        write_volume(folder / "head.nii.gz", thick, Scan.made_here(thick))
        once = Phase(
            "mean image",
            _plant_mean(folder / "prior", truth),
            note="once a prior, not in the total",
        )
        clock = _Phases()
        config = Config(solver=LATENT_NAME, prior=str(folder / "prior"), settings=settings)
        result, _ = run_job([folder / "head.nii.gz"], config, progress=clock)
        *phases, (total, seconds) = clock.ended().items()
        instead = result.solver_used if result.prior_refused else None
        note = f"the prior was refused, {instead} was used" if instead else ""
        return [
            once,
            *(Phase(name, spent) for name, spent in phases),
            Phase(total, seconds, peak_memory_bytes() / GIB, note),
        ]


def write_random_prior(folder: Path, card: PriorCard) -> PriorCard:
    """Write a prior with random weights and return its card."""
    folder.mkdir()
    generator = torch.Generator().manual_seed(0)
    files = {}
    for network in card.networks.values():
        path = folder / network.file
        save_tensors(path, random_tensors(network, generator, torch.float32))
        files[network.file] = FileCard(path.stat().st_size, digest(path))
    card = replace(card, files=files)
    write_text(folder / CARD_NAME, dump_card(card))
    return card


def on_grid(volume: Volume, grid: Grid) -> Volume:
    """Interpolate a volume linearly onto a grid; 0 outside it."""
    to_source = torch.linalg.inv(torch.from_numpy(volume.grid.affine)).numpy() @ grid.affine
    data = affine_transform(volume.data, to_source, output_shape=grid.shape, order=1)
    return Volume(data, grid)


def _plant_mean(folder: Path, head: Volume) -> float:
    """Time the mean image of a prior, and keep the head in its place."""
    prior = load_prior(folder, torch.device("cpu"))
    start = time.perf_counter()
    mean_image(instrument(prior), torch.zeros(()), torch.Generator().manual_seed(0))
    seconds = time.perf_counter() - start
    cached("mean", mean_recipe(prior.card), lambda: torch.from_numpy(head.data))
    return seconds


class _Phases:
    """Adds up the seconds between reports of progress, by phase."""

    def __init__(self) -> None:
        self.start = self.last = time.perf_counter()
        self.seconds: dict[str, float] = {}

    def __call__(self, phase: str, _done: int, _total: int) -> None:
        name = phase if phase in self.seconds else "preparation and the first step"
        self._add(name)
        self.seconds.setdefault(phase, 0.0)

    def _add(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self.last
        self.last = now

    def ended(self) -> dict[str, float]:
        """Return the seconds of all phases and their total."""
        self._add("consistency, report, writing")
        return {**self.seconds, "total": self.last - self.start}
