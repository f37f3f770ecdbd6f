import copy
from dataclasses import replace

import pytest
import torch

from inversesr.errors import InputError
from inversesr.priors.brain_ldm import BRAIN_LDM
from inversesr.priors.card import parse_card
from inversesr.priors.loading import assemble_prior
from inversesr.priors.samplers import ddim_invert, timestep_path
from tests.support.small_brain_ldm import card_of, random_tensors


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Small networks on busy cores: threads that wait for one another cost more than they give."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def prior_of(card=None, dtype=torch.float32, **changes):
    card = card or card_of()
    return replace(assemble_prior(card, random_tensors(card), dtype), **changes)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def latent(prior, seed=0):
    return torch.randn(prior.latent_shape, generator=generator(seed))


def relative(a, b):
    return float((a - b).abs().max() / b.abs().max())


def test_shapes_are_those_of_the_card():
    prior = prior_of()
    assert prior.grid.shape == (32, 64, 32)
    assert prior.latent_shape == (3, 4, 8, 4)
    x = prior.decode(latent(prior))
    assert x.shape == prior.grid.shape
    assert x.dtype == torch.float32
    assert prior.encode(x).shape == prior.latent_shape
    assert prior.denoise(latent(prior), 500).shape == prior.latent_shape


@pytest.mark.parametrize("gradients", ["lean", "stock"])
def test_decoding_is_the_same_with_and_without_a_gradient(gradients):
    prior = prior_of(gradients=gradients)
    z = latent(prior)
    with_gradient = prior.decode(z.clone().requires_grad_())
    assert with_gradient.requires_grad
    assert relative(with_gradient.detach(), prior.decode(z)) < 1e-5
    with torch.no_grad():
        assert not prior.decode(z.clone().requires_grad_()).requires_grad


def test_lean_and_stock_gradients_agree_for_decoder_encoder_and_denoiser():
    found = []
    for gradients in ("lean", "stock"):
        prior = prior_of(gradients=gradients)
        z = latent(prior).requires_grad_()
        context = prior.context().requires_grad_()
        x = prior.decode(z)
        clean = prior.denoise(prior.encode(x), 300, context)
        found.append(torch.autograd.grad((clean**2).sum(), (z, context)))
    assert relative(found[0][0], found[1][0]) < 1e-4
    assert relative(found[0][1], found[1][1]) < 1e-4


def test_the_latent_scale_and_the_network_range_cancel_in_a_round_trip():
    plain = prior_of()
    data = card_of()
    scaled_card = replace(
        data,
        latent=replace(data.latent, scale=0.5),
        intensity=replace(data.intensity, network_low=-1.0, network_high=1.0),
    )
    scaled = prior_of(scaled_card)
    z = latent(plain)
    # the same network output, read in another range: 2 x01 - 1 = x
    assert torch.allclose(scaled.decode(0.5 * z), (plain.decode(z) + 1.0) / 2.0, atol=1e-5)
    x = torch.rand(plain.grid.shape, generator=generator(1))
    assert torch.allclose(scaled.encode((x + 1.0) / 2.0), 0.5 * plain.encode(x), atol=1e-4)


def test_conditioning_variables_are_scaled_and_checked():
    prior = prior_of()
    assert torch.allclose(prior.context(), torch.tensor([0.5, 0.5, 0.5, 0.5]))
    found = prior.context({"age": 82, "sex": 1})
    assert torch.allclose(found, torch.tensor([1.0, 1.0, 0.5, 0.5]))
    with pytest.raises(InputError, match="age is 30; expected 44"):
        prior.context({"age": 30})
    with pytest.raises(InputError, match="no variable 'height'"):
        prior.context({"height": 180})


def test_conditioning_enters_as_maps_and_as_cross_attention():
    prior = prior_of()
    z, context = latent(prior), prior.context({"age": 50})
    seen = torch.cat([z[None], context.reshape(1, 4, 1, 1, 1).expand(1, 4, *z.shape[1:])], dim=1)
    with torch.no_grad():
        expected = prior.denoiser(
            seen, timesteps=torch.tensor([700]), context=context.reshape(1, 1, 4)
        )[0]
    assert torch.equal(prior.predict(z, 700, context), expected)


@pytest.mark.parametrize("prediction", ["epsilon", "v", "x0"])
def test_the_denoiser_output_is_read_as_the_card_says(prediction):
    card = card_of()
    card = replace(card, schedule=replace(card.schedule, prediction=prediction))
    prior = prior_of(card)
    z_t = latent(prior)
    output = prior.predict(z_t, 400)
    a, b = prior.schedule.level(400)
    expected = {
        "epsilon": (z_t - b * output) / a,
        "v": a * z_t - b * output,
        "x0": output,
    }[prediction]
    assert torch.allclose(prior.denoise(z_t, 400), expected, atol=1e-6)


def test_guidance_is_linear_between_and_beyond_both_conditions():
    card = card_of()
    card = replace(card, conditioning=replace(card.conditioning, null=(0.0, 0.0, 0.0, 0.0)))
    prior = prior_of(card)
    z, context = latent(prior), torch.ones(4)
    outputs = {g: replace(prior, guidance=g).predict(z, 500, context) for g in (0.0, 1.0, 3.0)}
    assert torch.allclose(
        outputs[3.0], outputs[0.0] + 3 * (outputs[1.0] - outputs[0.0]), atol=1e-4
    )
    assert torch.allclose(outputs[0.0], prior.predict(z, 500, torch.zeros(4)), atol=1e-5)


def test_guidance_is_refused_by_a_prior_that_was_not_trained_for_it():
    with pytest.raises(InputError, match="not trained for guidance"):
        prior_of(guidance=2.0).predict(torch.zeros(3, 4, 8, 4), 500)


def test_the_same_seed_gives_the_same_sample():
    prior = prior_of()
    first, again, other = (prior.sample(3, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.shape == prior.latent_shape
    assert prior.sample(2, generator(), spacing="inversesr", eta=1.0).isfinite().all()


def test_inversion_runs_through_the_network():
    prior = prior_of()
    path = timestep_path(prior.schedule, 4, "linspace")
    noisy = ddim_invert(prior.schedule, prior.denoise, latent(prior), path)
    assert noisy.isfinite().all()


def test_bfloat16_weights_stay_close_to_float32():
    exact, held = prior_of(), prior_of(dtype=torch.bfloat16)
    assert {p.dtype for p in held.denoiser.parameters()} == {torch.bfloat16, torch.float32}
    z = latent(exact)
    x = exact.decode(z)
    pairs = [
        (held.decode(z), x),
        (held.encode(x), exact.encode(x)),
        (held.predict(z, 500), exact.predict(z, 500)),
    ]
    for found, expected in pairs:
        assert found.dtype == torch.float32
        assert float((found - expected).std() / expected.std()) < 0.03
    graph = held.decode(z.clone().requires_grad_())
    assert float((graph.detach() - held.decode(z)).std() / x.std()) < 0.02
    stock = replace(held, gradients="stock").decode(z.clone().requires_grad_())
    assert float((stock.detach() - x).std() / x.std()) < 0.03


def test_a_decoder_alone_decodes_and_says_why_it_cannot_encode():
    card = card_of()
    tensors = random_tensors(card)
    decoder = {
        n: t for n, t in tensors["autoencoder"].items() if n.startswith(("decoder.", "post_quant"))
    }
    card = replace(card, latent=replace(card.latent, has_encoder=False))
    prior = assemble_prior(card, {**tensors, "autoencoder": decoder})
    whole = assemble_prior(card_of(), tensors)
    z = latent(prior)
    assert torch.equal(prior.decode(z), whole.decode(z))
    graph = prior.decode(z.clone().requires_grad_())
    assert relative(graph.detach(), whole.decode(z)) < 1e-5
    with pytest.raises(InputError, match="no encoder"):
        prior.encode(torch.zeros(prior.grid.shape))


def test_a_prior_without_denoiser_says_so():
    card = card_of()
    card = replace(card, networks={"autoencoder": card.networks["autoencoder"]}, schedule=None)
    prior = prior_of(card)
    with pytest.raises(InputError, match="no denoiser"):
        prior.denoise(latent(prior), 3)


def free_card():
    free = {"kind": "free", "spacing_mm": [1.0, 1.0, 1.0], "multiple": 8}
    return card_of(grid=free)


def test_a_free_prior_takes_other_shapes_and_a_fixed_one_does_not():
    prior = prior_of(free_card())
    assert prior.grid.shape == (8, 8, 8)
    larger = prior.on_shape((16, 24, 8))
    assert larger.decode(latent(larger)).shape == (16, 24, 8)
    with pytest.raises(InputError, match="multiples of 8"):
        prior.on_shape((12, 8, 8))
    with pytest.raises(InputError, match="fixed grid"):
        prior_of().on_shape((16, 24, 8))


@pytest.mark.slow
def test_the_exact_brain_ldm_denoiser_in_bfloat16_stays_close_to_float32():
    data = copy.deepcopy(BRAIN_LDM)
    data["networks"]["autoencoder"]["arguments"] |= {
        "channels": [4, 4, 4, 4],
        "norm_num_groups": 4,
    }
    card = parse_card(data)
    tensors = random_tensors(card)
    z = torch.randn(3, 20, 28, 20, generator=generator())
    expected = assemble_prior(card, tensors).predict(z, 500)
    found = assemble_prior(card, tensors, torch.bfloat16).predict(z, 500)
    assert float((found - expected).std() / expected.std()) < 0.02


def local_card(**latent):
    """A free prior of the project's own networks."""
    data = copy.deepcopy(BRAIN_LDM)
    data["networks"] = {
        "autoencoder": {
            "network": "LocalAutoencoder",
            "arguments": {
                "latent_channels": 8,
                "widths": [4, 6],
                "encoder_blocks": [1, 1],
                "decoder_blocks": [1, 1],
            },
            "file": "autoencoder.safetensors",
        },
        "denoiser": {
            "network": "LocalDenoiser",
            "arguments": {"channels": 8, "widths": [4, 6], "n_blocks": [1, 1], "n_embedding": 8},
            "file": "denoiser.safetensors",
        },
    }
    data["grid"] = {"kind": "free", "spacing_mm": [1.0, 1.0, 1.0], "multiple": 8}
    data["latent"] = {"channels": 8, "factor": 4, **latent}
    data["conditioning"] = {}
    data["schedule"] = {
        "kind": "shifted_cosine",
        "n_steps": 1000,
        "prediction": "v",
        "arguments": {"shift": 0.5},
    }
    return parse_card(data)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_local_networks_encode_decode_denoise_and_sample_on_any_shape(dtype):
    prior = prior_of(local_card(), dtype).on_shape((16, 24, 8))
    z = prior.encode(torch.rand(prior.grid.shape, generator=generator(1)))
    assert z.shape == prior.latent_shape == (8, 4, 6, 2)
    assert prior.decode(z).shape == prior.grid.shape
    assert prior.denoise(z, 300).dtype == torch.float32
    assert prior.sample(2, generator()).isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_lean_and_stock_gradients_of_local_networks_agree(dtype):
    found = []
    for gradients in ("lean", "stock"):
        prior = prior_of(local_card(), dtype, gradients=gradients).on_shape((16, 8, 8))
        z = latent(prior).requires_grad_()
        clean = prior.denoise(prior.encode(prior.decode(z)), 300)
        found.append(torch.autograd.grad((clean**2).sum(), z)[0])
    difference = (found[0] - found[1]).norm() / found[1].norm()
    assert float(difference) < (1e-4 if dtype == torch.float32 else 0.1)


def test_local_networks_in_bfloat16_stay_close_to_float32():
    exact, held = (prior_of(local_card(), t) for t in (torch.float32, torch.bfloat16))
    assert {p.dtype for p in held.autoencoder.parameters()} == {torch.bfloat16, torch.float32}
    exact, held = (p.on_shape((16, 16, 16)) for p in (exact, held))
    z = latent(exact)
    pairs = [
        (held.decode(z), exact.decode(z)),
        (held.encode(exact.decode(z)), exact.encode(exact.decode(z))),
        (held.predict(z, 500), exact.predict(z, 500)),
    ]
    for found, expected in pairs:
        assert float((found - expected).std() / expected.std()) < 0.03


def test_whitened_latents_are_shifted_and_scaled_by_channel():
    plain = prior_of(local_card())
    mean, std = [0.1 * n for n in range(8)], [1.0 + n for n in range(8)]
    whitened = prior_of(local_card(mean=mean, std=std, whitened=True))
    x = torch.rand(plain.grid.shape, generator=generator(1))
    shape = (8, 1, 1, 1)
    expected = (plain.encode(x) - torch.tensor(mean).reshape(shape)) / torch.tensor(std).reshape(
        shape
    )
    assert torch.allclose(whitened.encode(x), expected, atol=1e-5)
    assert torch.allclose(
        whitened.decode(expected), plain.decode(plain.encode(x)), rtol=1e-4, atol=1e-4
    )


def test_whitening_needs_statistics_of_every_channel():
    with pytest.raises(InputError, match=r"whitened latents need latent\.mean"):
        local_card(whitened=True)
    with pytest.raises(InputError, match=r"latent\.std has 1 values; expected 8"):
        local_card(mean=[0.0] * 8, std=[1.0], whitened=True)
