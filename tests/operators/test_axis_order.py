import torch

from inversesr.operators.axis_order import AxisOrder, axis_last
from tests.support.laws import normal


def test_the_axis_lies_last_and_comes_back():
    order, x = axis_last((3, 4, 5), 1), normal((3, 4, 5), 0)
    assert torch.equal(order(x), x.permute(0, 2, 1))
    assert order.out_shape == (3, 5, 4)
    assert torch.equal(order.H(order(x)), x)


def test_axes_are_permuted_and_reversed_and_come_back():
    order, x = AxisOrder((3, 4, 5), (2, 0, 1), (0, 2)), normal((3, 4, 5), 0)
    assert order.out_shape == (5, 3, 4)
    assert order(x)[1, 2, 0] == x[2, 3, 3]
    assert torch.equal(order.H(order(x)), x)
