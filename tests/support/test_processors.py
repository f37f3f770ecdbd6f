import pytest

from tests.support.processors import NAMES, share_cores


@pytest.mark.parametrize(("n_processes", "n_cores"), [(2, 2), (2, 3), (8, 4), (8, 15)])
def test_processes_that_fill_the_cores_take_one_thread_each(n_processes, n_cores):
    environment = {"PYTEST_XDIST_WORKER_COUNT": str(n_processes)}
    share_cores(environment, n_cores)
    assert {environment[name] for name in NAMES} == {"1"}


@pytest.mark.parametrize(
    ("environment", "n_cores"),
    [({}, 1), ({"PYTEST_XDIST_WORKER_COUNT": "1"}, 1), ({"PYTEST_XDIST_WORKER_COUNT": "2"}, 4)],
    ids=["no process of xdist", "one process", "cores to spare"],
)
def test_others_take_what_they_would(environment, n_cores):
    before = dict(environment)
    share_cores(environment, n_cores)
    assert environment == before


def test_a_number_that_was_chosen_stays():
    environment = {"PYTEST_XDIST_WORKER_COUNT": "2", "OMP_NUM_THREADS": "2"}
    share_cores(environment, 2)
    assert environment["OMP_NUM_THREADS"] == "2"
