import copy

from inversesr.benchmarks.networks import OPERATIONS, measure_networks
from inversesr.priors.brain_ldm import BRAIN_LDM


def test_every_operation_is_timed_in_a_process_of_its_own():
    card = copy.deepcopy(BRAIN_LDM)
    card["networks"]["autoencoder"]["arguments"] |= {
        "channels": [4, 8, 8, 8],
        "norm_num_groups": 4,
    }
    card["grid"] |= {"shape": [16, 16, 16]}
    rows = measure_networks(OPERATIONS[:1], card=card, n_threads=1)
    assert [(row.operation, row.variant) for row in rows] == [
        ("decode", "stock"),
        ("decode", "ours"),
    ]
    assert all(row.seconds > 0 and 0.05 < row.peak_gib < 4 for row in rows)


def test_what_does_not_fit_into_memory_is_not_run():
    card = copy.deepcopy(BRAIN_LDM)
    card["grid"] |= {"shape": [1600, 2240, 1600]}
    (row,) = measure_networks(["decode with gradient"], ["stock"], card=card)
    assert row.seconds is None
    assert "GiB" in row.note
