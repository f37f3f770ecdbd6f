import torch

from inversesr.operators.coils import Coils
from tests.support.laws import normal


def test_each_coil_sees_the_image_times_its_sensitivity():
    c, x = normal((3, 4, 5), 0, torch.complex128), normal((4, 5), 1, torch.complex128)
    seen = Coils(c)(x)
    for k in range(3):
        torch.testing.assert_close(seen[k], c[k] * x)


def test_sensitivities_of_unit_norm_are_combined_to_the_image():
    c, x = normal((3, 4, 5), 0, torch.complex128), normal((4, 5), 1, torch.complex128)
    c = c / c.abs().square().sum(0).sqrt()
    A = Coils(c)
    torch.testing.assert_close(A.adjoint(A(x)), x)
