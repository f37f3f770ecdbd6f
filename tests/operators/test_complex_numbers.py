import torch

from inversesr.operators.complex_numbers import RealImage, RealPairs
from tests.support.laws import normal


def test_a_real_image_has_no_imaginary_part_and_loses_none():
    A, x = RealImage((4, 5)), normal((4, 5), 1)
    assert torch.equal(A(x), x + 0j)
    assert torch.equal(A.adjoint(torch.complex(x, 2.0 * x)), x)


def test_pairs_are_real_and_imaginary_parts_in_that_order():
    A, x = RealPairs((4, 5)), normal((4, 5), 1, torch.complex128)
    assert torch.equal(A(x), torch.stack([x.real, x.imag], dim=-1))
    assert torch.equal(A.adjoint(A(x)), x)
