import re
import subprocess
import sys
from pathlib import Path

import pytest

import inversesr
from inversesr.errors import InputError
from inversesr.solvers import registry
from inversesr.solvers.registry import SOLVERS, entries, find, names, solver_choices


def test_every_name_is_there_once_and_can_be_chosen():
    assert len(set(names())) == len(SOLVERS)
    assert solver_choices() == ("auto", *names())
    assert {registry.DEFAULT_NAME, registry.FALLBACK_NAME, registry.BASELINE_NAME} <= set(names())


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_a_line_names_the_file_and_the_options_of_a_solver(entry):
    module, options = SOLVERS[entry.name]
    assert (entry.options.__module__, entry.options.__name__) == (module, options)
    assert entry.restore.__module__ == module
    assert getattr(inversesr, options) is entry.options
    assert find(entry.name) is entry


def test_a_name_that_is_none_is_refused_with_the_nearest():
    with pytest.raises(InputError, match="did you mean latent-pnp"):
        find("latent-pmp")


def test_where_samples_are_asked_for_a_solver_draws_them_and_some_fuse():
    assert find(registry.DEFAULT_NAME).draws_samples
    assert [e.name for e in registry.fusers()] == ["tv", "unet", "diffusion"]


def test_no_other_module_spells_the_name_of_a_solver():
    package, own = Path(inversesr.__file__).parent, Path(registry.__file__)
    quoted = re.compile(
        "|".join(f'["\'"]{re.escape(name)}["\']' for name in names() if "-" in name)
    )
    spelt = {
        path.relative_to(package)
        for path in package.rglob("*.py")
        if path != own and quoted.search(path.read_text())
    }
    assert not spelt


def test_the_registry_is_read_without_torch():
    code = "import sys, inversesr.solvers.registry; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
