"""What all tests share: the switch --strict-skips, and what the marker gpu needs."""

import gc
import warnings

import pytest

from tests.support.skips import pytest_addoption, pytest_configure
from tests.support.slurm import Slurm, why_not

__all__ = ["pytest_addoption", "pytest_configure"]


def pytest_collection_modifyitems(items):
    """Skip what needs a GPU where there is none."""
    on_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if not on_gpu:
        return
    import torch

    if not torch.cuda.is_available():
        for item in on_gpu:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture(scope="session")
def real_slurm(tmp_path_factory):
    """A Slurm of two nodes, which all tests share; see `tests.support.slurm`."""
    if reason := why_not():
        pytest.skip(reason)
    started = Slurm(tmp_path_factory.mktemp("slurm"))
    try:
        started.start()
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="module")
def sockets():
    """Collect sockets that pynetdicom leaves to Python, as those that found nobody.

    Modules that use this ignore the warning of Python too.
    """
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
