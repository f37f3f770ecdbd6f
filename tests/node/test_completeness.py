"""A series is complete after a quiet time, or when as many came as were announced."""

import time

import pytest

from inversesr.node.arrivals import Receiving
from inversesr.node.completeness import LONG_S, PATIENCE, SETTLE_S, Stillness, why_complete


@pytest.mark.parametrize(
    ("n", "expected", "hinted", "still_s", "told"),
    [
        (24, 0, 0, 29.9, ""),
        (24, 0, 0, 30.0, "nothing more"),
        (24, 24, 0, SETTLE_S - 0.1, ""),
        (24, 24, 0, SETTLE_S, "as many as announced"),
        (24, 0, 24, SETTLE_S, "as many as announced"),
        # a count of the acquisition may be another than that of the series
        (24, 0, 48, SETTLE_S, ""),
        (24, 0, 48, 30.0, "nothing more"),
        (12, 24, 0, 30.0, ""),
        (12, 24, 0, 30.0 * PATIENCE, "12 of 24"),
        (25, 24, 0, 30.0, "nothing more"),
    ],
)
def test_when_a_series_is_complete(n, expected, hinted, still_s, told):
    found = why_complete(Receiving("s", n, expected, hinted), still_s, 30.0)
    assert found.startswith(told)
    assert bool(found) == bool(told)


def test_stillness_is_that_since_the_last_instance(clock):
    stillness = Stillness(clock)
    clock.now += 5.0
    stillness.heard("a")
    clock.now += 2.0
    assert (stillness.seconds("a"), stillness.seconds("b")) == (2.0, 7.0)
    stillness.forget("a")
    assert stillness.seconds("a") == 7.0


def test_what_is_not_received_any_more_is_forgotten_in_time(clock):
    stillness = Stillness(clock)
    for key in ("received", "done"):
        stillness.heard(key)
    clock.now += LONG_S - 1.0
    stillness.forget_others({"received"})
    assert stillness.seconds("done") == LONG_S - 1.0
    stillness.heard("new")
    clock.now += 1.0
    stillness.forget_others({"received"})
    assert set(stillness._last) == {"received", "new"}


def test_a_jump_of_the_clock_of_the_day_completes_nothing(monkeypatch):
    stillness = Stillness()
    stillness.heard("a")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 1e6)
    assert stillness.seconds("a") < 10.0
    monkeypatch.setattr(time, "time", lambda: now - 1e6)
    assert stillness.seconds("a") >= 0.0
