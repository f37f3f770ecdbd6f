import torch

from inversesr.solvers.tracing import show, watching


def refuse():
    raise AssertionError


def test_nothing_is_computed_where_nobody_watches():
    show(refuse)


def test_who_watches_sees_every_image_without_its_gradient_until_the_end():
    seen = []
    with watching(seen.append):
        show(lambda: torch.ones(2, requires_grad=True) * 3.0)
    show(refuse)
    assert [x.tolist() for x in seen] == [[3.0, 3.0]]
    assert not seen[0].requires_grad
