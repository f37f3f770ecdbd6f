import torch

from inversesr.operators.axis_order import AxisLast
from tests.support.laws import normal


def test_the_axis_lies_last_and_comes_back():
    order, x = AxisLast((3, 4, 5), 1), normal((3, 4, 5), 0)
    assert torch.equal(order(x), x.permute(0, 2, 1))
    assert order.out_shape == (3, 5, 4)
    assert torch.equal(order.H(order(x)), x)
