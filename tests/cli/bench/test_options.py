from itertools import product

import pytest

from inversesr.cli.bench.options import (
    check_modes,
    read_only_solver,
    read_solvers,
    read_tasks,
)
from inversesr.errors import InputError

GIVEN = {"--misstated": False, "--noise": False, "--plot": False}


@pytest.mark.parametrize("n", [1, 2, 3])
def test_every_combination_is_a_task_once(n):
    lists = ([3.0, 4.0, 5.0][:n], ["rect", "gaussian"], [0.0, 2.0], ["S", "R"])
    found = read_tasks(lists, (1.0, 7), is_sweep=False)
    told = [(t.thickness_mm, t.profile, 100.0 * t.noise, t.axis) for t in found]
    assert sorted(told) == sorted(product(*lists))
    assert {(t.gap_mm, t.seed) for t in found} == {(1.0, 7)}


def test_what_is_not_named_is_taken_by_kind_of_measurement():
    nothing = (None, None, None, None)
    (one,) = read_tasks(nothing, (0.0, 0), is_sweep=False)
    assert (one.thickness_mm, one.profile, one.noise, one.axis) == (4.0, "rect", 0.0, "S")
    assert len(read_tasks(nothing, (0.0, 0), is_sweep=True)) == 40


@pytest.mark.parametrize("given", [["tv,spline"], ["tv", "spline"], ["tv", " spline ,tv"]])
def test_solvers_are_named_in_any_way_and_kept_once(given):
    assert read_solvers(given) == ["tv", "spline"]


def test_one_solver_is_not_several():
    assert read_only_solver(None) == "auto"
    assert read_only_solver(["tv"]) == "tv"
    with pytest.raises(InputError, match="given 2 solvers"):
        read_only_solver(["tv,spline"])


@pytest.mark.parametrize("option", ["--noise", "--plot"])
def test_an_option_goes_with_some_measurements_only(option):
    given = GIVEN | {option: True}
    check_modes({"--scaling": False, "--robustness": False}, given)
    with pytest.raises(InputError, match=f"{option} does not go with --scaling"):
        check_modes({"--scaling": True, "--robustness": False}, given)


def test_a_misstated_thickness_is_for_robustness():
    given = GIVEN | {"--misstated": True}
    check_modes({"--robustness": True}, given)
    with pytest.raises(InputError, match="with --robustness only"):
        check_modes({"--robustness": False}, given)
