"""Entries of the tables of mutants."""

from tests.mutation.runner import Mutant


def mutant(file: str, old: str, new: str, promise: str, *tests: str) -> Mutant:
    """Return a mutant of the package; its tests are named from the folder of tests."""
    return Mutant(f"inversesr/{file}", old, new, promise, tuple(f"tests/{t}" for t in tests))
