from inversesr.operators.protocol import is_unitary
from tests.support.laws import Plain
from tests.support.operators import OPERATORS


def test_what_does_not_say_that_it_is_unitary_is_not():
    assert is_unitary(OPERATORS["Fourier"].operator)
    assert not is_unitary(Plain(OPERATORS["Fourier"].operator))
    assert not is_unitary(OPERATORS["slices"].operator)
