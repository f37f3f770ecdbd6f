"""In a storm nothing is lost, nothing done twice, and nobody let in; small here.

In full: `python -m tests.support.storm`.
"""

import json

import pytest

from tests.support.storm import options, run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("sockets"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
SMALL = ["--series", "4", "--slices", "8", "--associations", "4", "--harm", "20"]


def test_a_storm_passes_over_a_node(tmp_path):
    found = run(tmp_path, options([*SMALL, "--seconds", "600"]))
    told = json.dumps(found, indent=2)
    assert (found["instances"], found["lost"], found["not_sent"]) == (32, 0, 0), told
    assert found["is_done"], told
    assert found["states"] == {"done": 4}, told
    assert found["works_of_a_series"] == [1], told
    assert (found["series_in_the_archive"], found["instances_of_each"]) == (4, [16]), told
    assert found["intruders_let_in"] == 0, told
    assert found["counts"]["node killed"] + found["counts"]["worker killed"] > 1, told
    assert found["callers_of_the_archive"] == ["INVERSESR"], told
