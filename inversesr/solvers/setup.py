"""What a solver is given beside the scan: all that was decided before."""

from dataclasses import dataclass
from typing import Any

from inversesr.errors import InputError
from inversesr.priors.installed import OpenPrior
from inversesr.solvers.entry import SolverEntry
from inversesr.solvers.protocol import Progress


@dataclass(frozen=True, eq=False)
class Setup:
    """What was decided of a run.

    Attributes:
        solver: The solver.
        options: An object of its options class.
        prior: The prior, or None for a solver without one.
        consistency: "exact", "noise" or "off": how the result is made consistent with the scan.
        seed: Seed of everything random.
        progress: Called with a phase, the steps done and their total.
    """

    solver: SolverEntry
    options: Any
    prior: OpenPrior | None
    consistency: str
    seed: int = 0
    progress: Progress = lambda _phase, _done, _total: None

    @property
    def needed_prior(self) -> OpenPrior:
        """The prior, for a solver that needs one.

        Raises:
            InputError: none was given.
        """
        if self.prior is None:
            message = "the solver needs a prior; found none: give --prior"
            raise InputError(message)
        return self.prior
