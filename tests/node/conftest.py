"""A queue of tests: its folder and its database."""

import gc
import warnings

import pytest

from inversesr.node.database import open_database
from inversesr.node.folder import prepare_folder


@pytest.fixture
def queue(tmp_path):
    """The folder of an empty queue."""
    folder = tmp_path / "queue"
    prepare_folder(folder)
    return folder


@pytest.fixture
def database(queue):
    """The database of that queue."""
    opened = open_database(queue)
    yield opened
    opened.close()


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    """A clock that a test moves."""
    return Clock()


@pytest.fixture(scope="module")
def sockets():
    """Collect sockets that pynetdicom leaves to Python, as those that found nobody.

    Modules that use this ignore the warning of Python too.
    """
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
