import json

import pytest

from inversesr.benchmarks.networks import NetworkCost

COSTS = [
    NetworkCost("decode", "stock", "float32", 2.5, 1.25),
    NetworkCost("decode with gradient", "stock", "float32", None, None, "needs about 30 GiB"),
]


@pytest.fixture(autouse=True)
def _measured(monkeypatch):
    def measure(progress):
        for cost in COSTS:
            progress(cost)
        return COSTS

    monkeypatch.setattr("inversesr.benchmarks.networks.measure_networks", measure)


def test_each_network_is_a_line(bench):
    first, second = bench("networks").stdout.splitlines()
    assert first.split() == ["decode", "stock", "float32", "2.5", "s", "1.2", "GiB"]
    assert second.endswith("needs about 30 GiB")


def test_json_is_the_only_thing_on_standard_output(bench):
    assert len(json.loads(bench("networks", "--json").stdout)["rows"]) == 2
