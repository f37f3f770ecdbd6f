import subprocess
import sys
from dataclasses import dataclass, replace

import pytest

from inversesr.priors.card import read_card
from inversesr.priors.store import find_prior
from inversesr.solvers.entry import LATENT, SolverEntry
from inversesr.solvers.registry import entries


@dataclass(frozen=True)
class Options:
    n: int = 3


def entry(**changes):
    return SolverEntry("Does nothing.", Options, lambda _task, _setup: None, **changes)


def test_a_solver_without_networks_has_no_prior():
    assert not entry().has_prior
    assert not entry().is_latent
    assert entry(networks=("unet",)).has_prior
    assert not entry(networks=("unet",)).is_latent


def test_only_unpublished_methods_on_latents_start_from_the_unet():
    assert entry(networks=LATENT).starts_from_unet
    assert not entry(networks=LATENT, is_published=True).starts_from_unet
    assert not entry(networks=("unet",)).starts_from_unet


def test_options_stay_as_they_are_unless_a_solver_completes_them():
    assert entry().complete(Options(5), None) == Options(5)


@pytest.mark.parametrize("solver", entries(), ids=lambda solver: solver.name)
def test_every_solver_says_what_others_ask_of_it(solver):
    assert solver.summary.endswith(".")
    assert solver.has_prior != bool(solver.without_prior)
    assert not solver.steps or solver.steps in vars(solver.options())


def test_an_entry_is_read_without_torch():
    code = "import sys, inversesr.solvers.entry; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_prior_serves_a_solver_if_it_has_its_networks():
    card = read_card(find_prior("builtin"))
    assert entry().is_served_by(card)
    assert entry(networks=("unet",)).is_served_by(card)
    assert not entry(networks=("unet", "another")).is_served_by(card)
    blind = replace(card, latent=replace(card.latent, has_encoder=False))
    assert not entry(networks=("unet",), needs_encoder=True).is_served_by(blind)
