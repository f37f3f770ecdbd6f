"""The Brain LDM with small widths and a small grid, and random weights for any card."""

import copy

import torch

from inversesr.priors.brain_ldm import BRAIN_LDM
from inversesr.priors.card import parse_card
from inversesr.priors.networks.build import build_network


def card_of(**changes):
    """The brain LDM with small widths and a small grid."""
    data = copy.deepcopy(BRAIN_LDM)
    data["networks"]["autoencoder"]["arguments"] |= {
        "channels": [4, 8, 8, 8],
        "norm_num_groups": 4,
    }
    data["networks"]["denoiser"]["arguments"] |= {
        "channels": [8, 16, 24],
        "num_head_channels": [0, 16, 24],
        "norm_num_groups": 4,
    }
    data["grid"] |= {"shape": [32, 64, 32]}
    return parse_card({**data, **changes})


def random_tensors(card):
    made = {}
    for role, network in card.networks.items():
        generator = torch.Generator().manual_seed(2)
        made[role] = {}
        for name, t in build_network(network).state_dict().items():
            noise = torch.randn(t.shape, generator=generator)
            around = 1.0 if t.ndim == 1 and name.endswith("weight") else 0.0
            scale = 0.1 if t.ndim == 1 else t[0].numel() ** -0.5
            made[role][name] = around + scale * noise
    return made
