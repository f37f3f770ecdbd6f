import inspect

import pytest

from inversesr.solvers.registry import entries


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_every_solver_takes_what_was_measured_and_what_was_decided(entry):
    parameters = list(inspect.signature(entry.restore).parameters.values())
    assert len(parameters) == 2
    assert [p.default for p in parameters] == [inspect.Parameter.empty] * 2


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_every_solver_has_options_that_can_be_made_without_a_choice(entry):
    assert entry.options() == entry.options()
