import subprocess
import sys

import pytest

from inversesr.errors import InputError
from inversesr.solvers import registry
from inversesr.solvers.registry import SOLVERS, find, names, solver_choices


def test_every_name_is_there_once_and_can_be_chosen():
    assert len(set(names())) == len(SOLVERS)
    assert solver_choices() == ("auto", *names())
    assert {registry.DEFAULT_NAME, registry.FALLBACK_NAME, registry.BASELINE_NAME} <= set(names())


@pytest.mark.parametrize("entry", SOLVERS, ids=lambda entry: entry.name)
def test_an_entry_names_code_that_is_there(entry):
    assert entry.load_options().__module__ == entry.module
    assert entry.load().__module__ == entry.module
    assert find(entry.name) is entry
    assert entry.summary.endswith(".")
    assert entry.has_prior != bool(entry.without_prior)


def test_a_name_that_is_none_is_refused_with_the_nearest():
    with pytest.raises(InputError, match="did you mean latent-pnp"):
        find("latent-pmp")


def test_exactly_one_solver_draws_samples_and_one_fuses():
    assert [e.name for e in SOLVERS if e.draws_samples] == ["split-gibbs"]
    assert [e.name for e in SOLVERS if e.fuses_scans] == ["tv"]


def test_the_registry_is_read_without_torch():
    code = "import sys, inversesr.solvers.registry; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
