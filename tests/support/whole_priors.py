"""Priors with all five networks: small ones with random weights, and the shipped one changed."""

from dataclasses import replace

from inversesr.priors.card import CARD_NAME, NetworkCard, dump_card, read_card
from inversesr.priors.store import find_prior
from tests.support.problems import free_card, random_tensors, write_prior

SMALL_UNET = {"widths": [4, 4, 4], "n_blocks": [1, 1, 1], "n_embedding": 4}
SMALL_ERROR = {"widths": [4, 6], "n_blocks": [1, 1], "n_embedding": 8}
# what makes every solver quick; each of them ignores what is not its own
QUICK = (
    "solver.adapt_steps=2",
    "solver.n_steps=2",
    "solver.n_levels=2",
    "solver.n_denoiser_steps=2",
    "solver.n_start_samples=1",
    "solver.perceptual_weight=0",
    "solver.n_samples=2",
)


def write_whole_prior(folder, **changes):
    """Write a prior whose five networks are small, with random weights; return its name.

    Args:
        folder: Where.
        changes: Further fields of the card.
    """
    card = free_card()
    networks = {
        **card.networks,
        "unet": NetworkCard("SuperResolutionUNet", SMALL_UNET, "unet.safetensors"),
        "conditional": NetworkCard("ConditionalDenoiser", SMALL_UNET, "conditional.safetensors"),
        "error": NetworkCard("ErrorNet", SMALL_ERROR, "error.safetensors"),
    }
    card = replace(card, networks=networks, **changes)
    return str(write_prior(folder, card, random_tensors(card)))


def change_shipped_prior(folder, **changes):
    """Write the prior of the package with other numbers in its card; return its name."""
    shipped = find_prior("builtin")
    card = replace(read_card(shipped), **changes)
    folder.mkdir()
    (folder / CARD_NAME).write_text(dump_card(card))
    for file in card.files:
        (folder / file).symlink_to(shipped / file)
    return str(folder)
