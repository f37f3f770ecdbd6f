"""One battery of laws for every operator: a new one joins by a line of tests/support/operators."""

import importlib
import inspect
import pkgutil

import pytest
import torch

from inversesr import operators as room
from inversesr.operators import proximal
from inversesr.operators.spectrum import spectrum_of
from tests.support import laws
from tests.support.laws import TOLERANCES, Plain
from tests.support.operators import OPERATORS
from tests.support.problems import one_thread  # noqa: F401  (a fixture)

CASES = [
    pytest.param(case.operator, is_complex, id=f"{name}, {'complex' if is_complex else 'real'}")
    for name, case in OPERATORS.items()
    for is_complex in case.kinds
]
# once as the operator is, once as one of which nothing is known but its products
SOLVED = [
    pytest.param(wrap(operator), is_complex, id=f"{param.id}, {way}")
    for param in CASES
    for operator, is_complex in [param.values]
    for way, wrap in (("as it is", lambda a: a), ("iterated", Plain))
    if way == "as it is" or spectrum_of(operator) is not None
]


@pytest.mark.parametrize("dtype", list(TOLERANCES))
@pytest.mark.parametrize(("operator", "is_complex"), CASES)
def test_an_operator_is_linear_and_its_adjoint_is_its_adjoint(operator, is_complex, dtype):
    laws.check_operator(operator, dtype, is_complex=is_complex)


@pytest.mark.parametrize(("operator", "is_complex"), SOLVED)
def test_the_prox_is_what_a_dense_solver_finds(operator, is_complex):
    laws.check_prox(operator, is_complex=is_complex)


@pytest.mark.parametrize(("operator", "is_complex"), SOLVED)
def test_the_projection_is_the_nearest_of_those_that_fit_best(operator, is_complex):
    laws.check_projection(operator, is_complex=is_complex)


@pytest.mark.parametrize("share", [0.9, 0.3, 0.01])
@pytest.mark.parametrize(("operator", "is_complex"), SOLVED)
def test_the_nearest_image_within_a_radius_lies_on_its_sphere(operator, is_complex, share):
    laws.check_nearest_within(operator, share, is_complex=is_complex)


@pytest.mark.parametrize(("operator", "is_complex"), SOLVED)
def test_samples_have_the_mean_and_the_covariance_of_the_posterior(
    operator, is_complex, monkeypatch
):
    laws.check_posterior(operator, monkeypatch, is_complex=is_complex)


@pytest.mark.parametrize(("operator", "is_complex"), SOLVED)
def test_in_float32_and_with_the_effort_of_every_day_the_projection_reproduces_the_data(
    operator, is_complex
):
    x0, _ = laws.problem(operator, torch.float32, is_complex=is_complex)
    y = operator(x0.flip(0))
    misfit = (operator(proximal.project(operator, x0, y).x) - y).abs().max()
    # iterated, the gradient is small to a share of 1e-6, and the misfit as the condition lets it
    tolerance = 1e-3 if spectrum_of(operator) is None else 1e-5
    assert float(misfit) < tolerance * float((operator(x0) - y).abs().max())


def test_no_operator_is_missing_from_the_battery():
    names = [module.name for module in pkgutil.iter_modules(room.__path__, f"{room.__name__}.")]
    classes = {
        member
        for module in map(importlib.import_module, names)
        for _, member in inspect.getmembers(module, inspect.isclass)
        if member.__module__ == module.__name__ and callable(getattr(member, "adjoint", None))
    }
    classes = {c for c in classes if not getattr(c, "_is_protocol", False)}
    judged = {type(case.operator) for case in OPERATORS.values()}
    assert {c.__name__ for c in classes} - {c.__name__ for c in judged} == set()
    assert len(classes) >= 10
