import pytest

from inversesr.errors import InputError
from inversesr.solvers.setup import Setup
from inversesr.solvers.spline import SOLVER


def test_a_solver_that_needs_a_prior_says_so_where_there_is_none():
    with pytest.raises(InputError, match="give --prior"):
        _ = Setup(SOLVER, None, None, "exact").needed_prior
