import pytest

from inversesr.benchmarks.executor_load import Load, measure_load


@pytest.mark.slow
def test_every_scan_of_a_load_is_told_once_though_workers_vanish():
    pytest.importorskip("distributed")
    cost = measure_load(Load(300, 10, 0.02, 0.05))
    assert cost.n_once == 300
    assert cost.scheduler_mib > 0.0
