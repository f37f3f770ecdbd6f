import threading

import pytest
import torch

from inversesr import parallel


@pytest.fixture
def threads():
    """Sets the threads of torch for a test, and back afterwards."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_results_come_in_the_order_of_the_items(threads, n_threads):
    threads(n_threads)
    assert parallel.each(lambda n: n * n, range(20)) == [n * n for n in range(20)]


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_a_piece_has_one_thread_and_the_caller_keeps_his(threads, n_threads):
    threads(n_threads)
    # twice: a thread could be given the number of the process when it asks for the first time
    for _ in range(2):
        assert set(parallel.each(lambda _: torch.get_num_threads(), range(12))) == {1}
    assert torch.get_num_threads() == n_threads
    found = []
    later = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert found == [n_threads]


def test_pieces_run_at_the_same_time(threads):
    threads(2)
    both = threading.Barrier(2, timeout=20.0)
    parallel.each(lambda _: both.wait(), range(2))


def test_a_piece_may_share_out_pieces_of_its_own(threads):
    threads(2)

    def outer(n):
        assert parallel.is_within()
        return sum(parallel.each(lambda m: n + m, range(3)))

    assert parallel.each(outer, range(4)) == [3, 6, 9, 12]
    assert not parallel.is_within()


def test_what_a_piece_raises_reaches_the_caller(threads):
    threads(2)

    def fail(n):
        if n == 3:
            message = "the fourth"
            raise ValueError(message)

    with pytest.raises(ValueError, match="the fourth"):
        parallel.each(fail, range(5))
    assert parallel.each(abs, [-1]) == [1]


def test_sums_do_not_depend_on_the_number_of_threads(threads):
    x = torch.randn(8, 200_001, generator=torch.Generator().manual_seed(0))
    found = []
    for n_threads in (1, 2, 3):
        threads(n_threads)
        found.append(parallel.each(lambda row: float(x[row].sum()), range(8)))
    assert found[0] == found[1] == found[2]
