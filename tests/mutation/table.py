"""The promises that are broken on purpose, and the tests that should notice."""

from tests.mutation.runner import Mutant


def mutant(file: str, old: str, new: str, promise: str, *tests: str) -> Mutant:
    """Return a mutant of the package; its tests are named from the folder of tests."""
    return Mutant(f"inversesr/{file}", old, new, promise, tuple(f"tests/{t}" for t in tests))


MUTANTS = (
    mutant(
        "uncertainty/coverage.py",
        "np.sqrt(1.0 + 1.0 / n_samples)",
        "1.0",
        "an interval from few samples is wide enough",
        "uncertainty/test_coverage.py",
    ),
    mutant(
        "uncertainty/coverage.py",
        "student.ppf(0.5 + level / 2.0, n_samples - 1)",
        "norm.ppf(0.5 + level / 2.0)",
        "intervals follow Student's law",
        "uncertainty/test_coverage.py",
    ),
)
