"""Independent truth for converted networks: those of `generative`, with random weights."""

import pytest
import torch


def randomise(network, seed=0):
    """Give every weight, also those that start at zero, a value that keeps activations tame."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in network.named_parameters():
        noise = torch.empty(parameter.shape).normal_(generator=generator)
        around = 1.0 if parameter.ndim == 1 and name.endswith("weight") else 0.0
        scale = 0.1 if parameter.ndim == 1 else parameter[0].numel() ** -0.5
        parameter.data = around + scale * noise
    return network.eval().requires_grad_(requires_grad=False)


def generative_network(card):
    """Build the independent truth: the class of `generative` with the same arguments."""
    nets = pytest.importorskip(
        "generative.networks.nets", reason="needs monai-generative, the extra [generative]"
    )
    arguments = dict(card.arguments)
    arguments["num_channels"] = arguments.pop("channels")
    arguments.pop("include_fc", None)
    return randomise(getattr(nets, card.network)(**arguments))


def randn(*shape, seed=7):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def worst(a, b):
    return float((a - b).abs().max() / b.abs().max())
