import torch

from inversesr.operators.sampling import Sampling
from tests.support.laws import normal


def test_the_data_are_the_marked_values_in_their_order():
    measured = torch.tensor([[True, False, True], [False, True, False]])
    x = normal((2, 3), 0)
    assert torch.equal(Sampling(measured)(x), x[measured])


def test_values_go_back_to_their_places():
    measured = torch.tensor([[True, False, True], [False, True, False]])
    x = normal((2, 3), 0)
    A = Sampling(measured)
    assert torch.equal(A.adjoint(A(x)), torch.where(measured, x, 0.0))


def test_channels_are_sampled_alike():
    measured = torch.tensor([True, False, True, True])
    x = normal((3, 4), 0)
    A = Sampling(measured, (3,))
    assert A.out_shape == (3, 3)
    assert torch.equal(A(x), x[:, measured])
