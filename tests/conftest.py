"""What all tests share: the switch --strict-skips, and what the markers gpu and alone mean."""

import gc
import signal
import warnings
from pathlib import Path

import pytest

import inversesr  # noqa: F401 (before torch, for what it says of waiting threads)
import tests.support.processors  # noqa: F401 (before numpy and torch, which read what it sets)
from tests.support.skips import pytest_addoption, pytest_configure
from tests.support.slurm import Slurm, why_not

__all__ = ["pytest_addoption", "pytest_configure"]


# Slow tests that take times, or fill the machine with processes of their own: nothing runs beside.
ALONE = (
    "benchmarks/test_default_run.py",
    "benchmarks/test_executor_load.py",
    "benchmarks/test_many_workers.py",
    "end_to_end/test_batch_on_executors.py",
    "end_to_end/test_node.py",
    "end_to_end/test_node_storm.py",
    "node/test_service.py",
    "priors/networks/test_slabs.py",
    "workflows/executors",
)
TESTS = Path(__file__).parent


# A shell that starts tests in the background lets them, and all they start, ignore an interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    """Mark what runs alone; skip what needs a GPU where there is none."""
    for item in items:
        if any(item.path.is_relative_to(TESTS / name) for name in ALONE):
            item.add_marker(pytest.mark.alone)
        # where two processes share the tests: what a file sets up is set up once, and
        # notebooks, which take longest, are shared singly
        if item.path.name != "test_notebooks.py":
            item.add_marker(pytest.mark.xdist_group(item.path.name))
    on_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if not on_gpu:
        return
    import torch

    if not torch.cuda.is_available():
        for item in on_gpu:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture(autouse=True)
def signals_as_before():
    """See that no test, and nothing it calls, leaves an interrupt without effect."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    yield
    after = [signal.getsignal(number) for number in numbers]
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)
    assert after == before, "a handler of signals was left behind"


@pytest.fixture
def without_pictures(monkeypatch):
    """Reports of one line: pictures take longer than the restoration of a few voxels."""
    from inversesr.workflows import run
    from tests.support.thin_slices import write_short_report

    monkeypatch.setattr(run, "write_report", write_short_report)


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
