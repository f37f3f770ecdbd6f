"""A queue of tests: its folder and its database."""

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
