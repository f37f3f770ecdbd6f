import pytest

from inversesr.errors import InputError
from inversesr.solvers.kspace.registry import METHODS, method_of, options_of


@pytest.mark.parametrize("name", METHODS)
def test_every_method_says_what_it_does_and_has_options(name):
    method = method_of(name)
    assert method.summary.endswith(".")
    assert isinstance(options_of(name, ()), method.options)


def test_settings_reach_the_options():
    assert options_of("cg-sense", ("solver.n_steps=7",)).n_steps == 7


@pytest.mark.parametrize("setting", ["solver.nothing=1", "n_steps=7", "solver.n_steps=many"])
def test_settings_that_are_none_are_refused(setting):
    with pytest.raises(InputError, match="expected"):
        options_of("cg-sense", (setting,))


def test_an_unknown_method_is_refused():
    with pytest.raises(InputError, match="zero-filling"):
        method_of("grappa")
