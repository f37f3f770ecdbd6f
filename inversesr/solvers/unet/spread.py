"""How far samples are to lie from their mean, by the error that a network expects of the scan."""

from inversesr.measurements.protocol import Measurement
from inversesr.measurements.slices import Task
from inversesr.protocols import Solution
from inversesr.solvers.setup import Setup
from inversesr.solvers.unet.solver import deviation_to_expect, has_known_slices
from inversesr.uncertainty.intervals import LEAST_SAMPLES, factor_of_expected


def sd_factor(task: Measurement, setup: Setup, solution: Solution) -> float:
    """Return by what the deviations of samples from their mean are to be multiplied.

    Args:
        task: What was measured.
        setup: What was decided before, with the prior.
        solution: The image and its samples.

    Returns:
        What the error network and the card of the prior say of a scan of slices; the one number
        of the card for other measurements, and where there are too few samples.
    """
    card, samples = setup.needed_prior.card, solution.samples
    share = card.sd_over_error
    if samples is None or len(samples) < LEAST_SAMPLES or share is None:
        return card.sd_factor
    judge = setup.needed_prior.error_net(task.y.device)
    if judge is None or not isinstance(task, Task) or not has_known_slices(task):
        return card.sd_factor
    expected = deviation_to_expect(judge, task, solution.x)
    return factor_of_expected(samples, expected, share) or card.sd_factor
