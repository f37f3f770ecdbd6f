import pytest
import torch

from inversesr.operators.compose import Composed, Diagonal
from inversesr.operators.resample import RigidResample
from inversesr.operators.spectrum import spectrum_of
from tests.support.laws import matrix
from tests.support.operators import OPERATORS

OFFERED = {name: case for name, case in OPERATORS.items() if spectrum_of(case.operator)}


@pytest.mark.parametrize("name", OFFERED)
def test_the_eigenvalues_are_those_of_the_dense_matrix(name):
    case = OFFERED[name]
    spectrum, operator = spectrum_of(case.operator), case.operator
    is_complex = case.kinds[-1]
    M = matrix(operator, is_complex=is_complex)
    gram = M.T @ M if spectrum.of_image else M @ M.T
    shape = operator.in_shape if spectrum.of_image else operator.out_shape
    values = spectrum.values.expand(shape).flatten()
    # a real operator on complex images does the same to both parts
    times = gram.shape[0] // values.numel()
    found = values.repeat(times).sort().values
    torch.testing.assert_close(found, torch.linalg.eigvalsh(gram), rtol=1e-9, atol=1e-9)


def test_what_has_no_closed_form_offers_none():
    assert len(OFFERED) >= 20
    slices, turned = OPERATORS["slices"].operator, OPERATORS["resampling"].operator
    assert isinstance(turned, RigidResample)
    assert spectrum_of(turned) is None
    weights = Diagonal(torch.ones(slices.out_shape, dtype=torch.float64))
    assert spectrum_of(Composed(weights, slices)) is None


def test_directions_that_only_rounding_sees_are_not_measured():
    spectrum = Diagonal(torch.tensor([1.0, 1e-6, 0.0], dtype=torch.float64)).spectrum
    assert spectrum.inverse_values.tolist() == [1.0, 0.0, 0.0]
