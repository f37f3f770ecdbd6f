from itertools import product

import pytest

from inversesr.cli.bench.options import Slices, SolverChoice, given_or_template, read_solvers
from inversesr.errors import InputError


@pytest.mark.parametrize("n", [1, 2, 3])
def test_every_combination_is_a_task_once(n):
    lists = ([3.0, 4.0, 5.0][:n], ["rect", "gaussian"], [0.0, 2.0], ["S", "R"])
    thickness, profile, noise, axis = lists
    found = Slices(thickness, 1.0, profile, axis, noise).tasks(7)
    told = [(t.thickness_mm, t.profile, 100.0 * t.noise, t.axis) for t in found]
    assert sorted(told) == sorted(product(*lists))
    assert {(t.gap_mm, t.seed) for t in found} == {(1.0, 7)}


def test_what_is_not_named_is_taken_from_the_defaults_of_the_benchmark():
    (one,) = Slices().tasks(0)
    assert (one.thickness_mm, one.profile, one.noise, one.axis) == (4.0, "rect", 0.0, "S")
    swept = Slices(profile=["slr"]).tasks(0, [3.0, 5.0], ["rect"], [0.0, 1.0, 2.0])
    assert len(swept) == 6
    assert {t.profile for t in swept} == {"slr"}


@pytest.mark.parametrize("given", [["tv,spline"], ["tv", "spline"], ["tv", " spline ,tv"]])
def test_solvers_are_named_in_any_way_and_kept_once(given):
    assert read_solvers(given) == ["tv", "spline"]
    assert SolverChoice(given).names == ["tv", "spline"]


def test_a_setup_carries_every_choice():
    choice = SolverChoice(["tv"], ["solver.n_steps=3"], "mine", 5)
    setup = choice.setup(32, 20.0, is_traced=True)
    assert setup.settings == ("solver.n_steps=3",)
    assert (setup.prior, setup.seed, setup.crop) == ("mine", 5, 32)
    assert (setup.is_traced, setup.misstated) == (True, 0.2)


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        ((["magic"], None), "solver is magic"),
        ((None, ["solver.magic=1"]), r"expected solver\.NAME=VALUE"),
    ],
)
def test_an_unknown_solver_or_option_is_refused(choice, sentence):
    with pytest.raises(InputError, match=sentence):
        SolverChoice(*choice)


def test_the_template_stands_in_for_images_that_are_not_named(monkeypatch, tmp_path):
    from contextlib import nullcontext

    monkeypatch.setattr("inversesr.workflows.demo.demo_head", lambda: nullcontext(tmp_path))
    with given_or_template(None) as images:
        assert images == [tmp_path]
    with given_or_template(["mine"]) as images:
        assert images == ["mine"]
