"""Generates slices and regions of a scan that are missing or spoilt; the rest stays bit by bit.

    z_k = A_k x        x restored from the slices that are there, A_k the scanner's slice k
    z_i                within a mask: see `fill_region`

What was generated is marked in a map, and named on top of the record and the report.
"""

from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
import torch

from inversesr.acquisition.geometry import forward_operator
from inversesr.config import AUTOMATIC, Config
from inversesr.io.nifti import Scan
from inversesr.measurements.consistency import Agreement, make_consistent
from inversesr.protocols import Solution
from inversesr.result import Map, Result, Source, make_map
from inversesr.solvers import registry
from inversesr.solvers.protocol import Progress
from inversesr.uncertainty.intervals import QUANTILES, summarise
from inversesr.volume import Image, Volume
from inversesr.workflows.fill_choices import FillConfig, check_asked
from inversesr.workflows.fill_plan import Wanted, what_to_generate, what_was_generated
from inversesr.workflows.fill_region import fill_region
from inversesr.workflows.prepare import Prepared, prepare
from inversesr.workflows.restore import card_record, choose_device

# Fitted to the scan the network fills gaps no better than as it is; all mirror images are better.
QUICK = ("solver.adapt_steps=0", "solver.n_mirrors=8")


@dataclass(frozen=True, eq=False)
class Filled:
    """A filled scan.

    Attributes:
        result: The scan with what was generated, and its maps, on its own voxels.
        wanted: What was generated.
        samples: Images that are all as likely, where samples were asked for.
    """

    result: Result
    wanted: Wanted
    samples: tuple[Volume, ...] = ()


def fill(
    scan: Scan,
    choices: FillConfig,
    mask: Image | None = None,
    progress: Progress = lambda _phase, _done, _total: None,
) -> Filled:
    """Generate what is missing or spoilt in a scan.

    Args:
        scan: The scan.
        choices: What is generated, and how.
        mask: Region to generate on the scan's grid, above 0 inside.
        progress: Called with a phase, the steps done and their total.

    Raises:
        InputError: nothing is to be generated, or it cannot be.
    """
    start = perf_counter()
    check_asked(choices, has_mask=mask is not None)
    wanted = what_to_generate(scan, choices, mask)
    scan = wanted.scan
    made = _generate_slices(wanted, choices, progress) if wanted.slices else None
    data = _with_slices(scan.volume.data, wanted, None if made is None else made.y)
    notes: tuple[str, ...] = () if made is None else (*made.ready.notes, *made.solution.notes)
    solver = registry.FALLBACK_NAME if made is None else made.solver
    if wanted.region is not None:
        data = fill_region(scan.volume.with_data(data), wanted.region, wanted.acquisition,
                           choices, progress)  # fmt: skip
    still = Agreement(0.0, 0.0, 0.0, (0.0,) * _n_measured(wanted))
    sigma = 0.0 if made is None else made.ready.task.sigma
    source = Source(scan, wanted.acquisition, sigma, still, still)
    result = Result(
        scan.volume.with_data(data),
        (source,),
        choices.as_config(wanted.slices),
        "voxels within the mask by tv" if made is None else made.solution.status,
        {} if made is None else made.solution.history,
        solver,
        "exact",
        {"fill": perf_counter() - start},
        (*what_was_generated(wanted), *notes),
        {} if made is None else made.solution.facts,
        prior_card=None if made is None else card_record(made.ready.setup.prior),
    )
    return _with_maps(result, wanted, made)


@dataclass(frozen=True, eq=False)
class _Made:
    """Slices that a solver generated, among all slices of the scan as it sees them."""

    ready: Prepared
    solution: Solution
    y: Image
    sd: Image | None
    samples: torch.Tensor | None

    @property
    def solver(self) -> str:
        return self.solution.solver or self.ready.solver.name


def _generate_slices(wanted: Wanted, choices: FillConfig, progress: Progress) -> _Made:
    """Restore a scan without some of its slices, and see these in what was restored."""
    config = choices.as_config(wanted.slices)
    ready = prepare(wanted.scan, _quick(config), None, None, choose_device(config.device))
    solution, task = ready.solve(progress), ready.task
    A = forward_operator(task.scan_grid, task.fine, replace(task.acquisition, missing=()))

    def slices_of(x: torch.Tensor) -> torch.Tensor:
        return A(make_consistent(task.A, x, task.y, 0.0) if ready.solver.is_consistent else x)

    sd = None if solution.sd is None else A(solution.sd).cpu().numpy()
    samples = solution.samples
    drawn = None if samples is None else torch.stack([slices_of(x) for x in samples])
    return _Made(ready, solution, slices_of(solution.x).float().cpu().numpy(), sd, drawn)


def _quick(config: Config) -> Config:
    """Return choices by which the network is not fitted to the scan, unless that was asked for."""
    if config.solver not in (AUTOMATIC, registry.DEFAULT_NAME):
        return config
    return replace(config, settings=(*QUICK, *config.settings))


def _with_slices(data: Image, wanted: Wanted, y: Image | None) -> Image:
    """Return data in which some slices are those of another image."""
    filled = data.copy()
    if y is not None:
        axis, slices = wanted.acquisition.slice_axis, list(wanted.slices)
        np.moveaxis(filled, axis, 0)[slices] = np.moveaxis(y, axis, 0)[slices]
    return filled


def _with_maps(result: Result, wanted: Wanted, made: _Made | None) -> Filled:
    """Return a result with the maps of what was generated, and the samples."""
    grid, marked = wanted.scan.volume.grid, wanted.is_generated
    maps: dict[str, Map] = {}
    nothing = np.zeros(grid.shape, np.float32)

    def generated(name: str, y: Image, source: str) -> None:
        maps[name] = make_map(name, Volume(_with_slices(nothing, wanted, y), grid), source)

    if made is not None and made.samples is not None:
        found = summarise(torch.from_numpy(made.y), made.samples.cpu())
        source = f"{len(made.samples)} samples drawn by the solver"
        if found is not None:
            generated("sd", found.sd.numpy(), source)
            for name, q in zip(("low", "high"), QUANTILES, strict=True):
                y = _with_slices(result.volume.data, wanted, found.quantiles[q].float().numpy())
                maps[name] = make_map(name, Volume(y, grid), source)
    elif made is not None and made.sd is not None:
        generated("sd", made.sd, "network of the prior that estimates errors")
    maps["generated"] = make_map("generated", Volume(marked, grid), "what was to be filled")
    samples: tuple[Volume, ...] = ()
    if made is not None and made.samples is not None:
        samples = tuple(
            result.volume.with_data(_with_slices(result.volume.data, wanted, y.cpu().numpy()))
            for y in made.samples
        )
    return Filled(replace(result, maps=maps), wanted, samples)


def _n_measured(wanted: Wanted) -> int:
    n = wanted.scan.volume.grid.shape[wanted.acquisition.slice_axis]
    return n - len(wanted.slices)
