"""Who fails waits, longer each time, and for no longer than a limit."""

from inversesr.node.backoff import BackOff


def test_waits_double_up_to_a_limit(clock):
    waits = BackOff(clock, first_s=1.0, most_s=5.0)
    assert [waits.failed("a") for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_who_waited_long_enough_is_tried_again(clock):
    waits = BackOff(clock, first_s=2.0)
    waits.failed("a")
    assert waits.waiting() == {"a"}
    clock.now += 2.0
    assert waits.waiting() == set()
    assert waits.failed("a") == 4.0


def test_success_forgets_failures_of_one_alone(clock):
    waits = BackOff(clock)
    waits.failed("a")
    waits.failed("b")
    waits.succeeded("a")
    assert waits.waiting() == {"b"}
    assert waits.failed("a") == 1.0
