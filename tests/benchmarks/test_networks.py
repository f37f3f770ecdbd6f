import copy
from concurrent.futures import ThreadPoolExecutor

from inversesr.benchmarks import networks
from inversesr.benchmarks.networks import OPERATIONS, measure_networks
from inversesr.priors.brain_ldm import BRAIN_LDM


def small_card():
    card = copy.deepcopy(BRAIN_LDM)
    card["networks"]["autoencoder"]["arguments"] |= {
        "channels": [4, 8, 8, 8],
        "norm_num_groups": 4,
    }
    card["grid"] |= {"shape": [16, 16, 16]}
    return card


def test_an_operation_is_timed_in_a_process_of_its_own():
    (row,) = measure_networks(["decode"], ["ours"], card=small_card(), n_threads=1)
    assert (row.operation, row.variant) == ("decode", "ours")
    assert row.seconds > 0
    assert 0.05 < row.peak_gib < 4


def test_every_operation_is_timed_as_published_and_as_we_do_it(monkeypatch):
    monkeypatch.setattr(networks, "new_process", lambda: ThreadPoolExecutor(1))
    rows = measure_networks(OPERATIONS[:2], card=small_card())
    assert [(row.operation, row.variant) for row in rows] == [
        (operation, variant) for operation in OPERATIONS[:2] for variant in ("stock", "ours")
    ]
    assert all(row.seconds > 0 for row in rows)


def test_what_does_not_fit_into_memory_is_not_run():
    card = copy.deepcopy(BRAIN_LDM)
    card["grid"] |= {"shape": [1600, 2240, 1600]}
    (row,) = measure_networks(["decode with gradient"], ["stock"], card=card)
    assert row.seconds is None
    assert "GiB" in row.note
