import pytest
import torch

from inversesr.priors.networks.build import boundary_layers, hold_in
from inversesr.priors.networks.slabs import decode_in_slabs, encode_in_slabs


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Small networks on busy cores: threads that wait for one another cost more than they give."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def autoencoder(**changes):
    from monai.networks.nets import AutoencoderKL

    arguments = {
        "spatial_dims": 3,
        "channels": (8, 16, 16, 16),
        "num_res_blocks": 2,
        "attention_levels": (False,) * 4,
        "latent_channels": 3,
        "norm_num_groups": 4,
        "with_encoder_nonlocal_attn": False,
        "with_decoder_nonlocal_attn": False,
    }
    network = AutoencoderKL(**{**arguments, **changes})
    generator = torch.Generator().manual_seed(1)
    for name, parameter in network.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        around = 1.0 if parameter.ndim == 1 and name.endswith("weight") else 0.0
        scale = 0.1 if parameter.ndim == 1 else parameter[0].numel() ** -0.5
        parameter.data = around + scale * noise
    return network.eval().requires_grad_(requires_grad=False)


def relative(a, b):
    return float((a - b).abs().max() / b.abs().max())


@pytest.mark.parametrize("slab_voxels", [1, 700, 2000, 1 << 18])
@pytest.mark.parametrize("attention", [False, True])
def test_slabs_give_the_image_of_the_whole(slab_voxels, attention):
    network = autoencoder(
        attention_levels=(False, False, attention, attention),
        with_decoder_nonlocal_attn=attention,
        with_encoder_nonlocal_attn=attention,
    )
    z, x = randn(1, 3, 5, 2, 3), randn(1, 1, 40, 16, 24)
    with torch.inference_mode():
        expected, expected_latent = network.decode(z), network.encode(x)[0]
    assert relative(decode_in_slabs(network, z, slab_voxels), expected) < 1e-5
    assert relative(encode_in_slabs(network, x, slab_voxels), expected_latent) < 1e-5


def test_bfloat16_weights_stay_close_to_float32():
    exact = autoencoder()
    held = autoencoder()
    held = hold_in(held, torch.bfloat16, exact=boundary_layers(held))
    z, x = randn(1, 3, 4, 4, 4), randn(1, 1, 32, 32, 32)
    image, expected = decode_in_slabs(held, z, 4000), decode_in_slabs(exact, z, 4000)
    assert image.dtype == torch.float32
    # not a coarse staircase: the last layer computes in float32
    assert len(image.unique()) > 0.9 * image.numel()
    assert float((image - expected).std() / expected.std()) < 0.03
    latent, expected = encode_in_slabs(held, x, 4000), encode_in_slabs(exact, x, 4000)
    assert float((latent - expected).std() / expected.std()) < 0.03


def test_the_input_is_left_as_it_was():
    network = autoencoder()
    z, x = randn(1, 3, 2, 2, 2), randn(1, 1, 16, 16, 16)
    before = z.clone(), x.clone()
    decode_in_slabs(network, z, 500)
    encode_in_slabs(network, x, 500)
    assert torch.equal(z, before[0])
    assert torch.equal(x, before[1])


def test_a_result_can_enter_a_graph():
    z = decode_in_slabs(autoencoder(), randn(1, 3, 2, 2, 2))
    weight = torch.ones((), requires_grad=True)
    (z * weight).sum().backward()
    assert weight.grad is not None


@pytest.mark.slow
def test_the_exact_brain_ldm_autoencoder_in_slabs():
    exact = {"channels": (64, 128, 128, 128), "norm_num_groups": 32}
    network = autoencoder(**exact)
    z, x = randn(1, 3, 6, 8, 5), randn(1, 1, 48, 64, 40)
    with torch.inference_mode():
        expected, expected_latent = network.decode(z), network.encode(x)[0]
    assert relative(decode_in_slabs(network, z, 20_000), expected) < 1e-4
    assert relative(encode_in_slabs(network, x, 20_000), expected_latent) < 1e-4
    held = autoencoder(**exact)
    hold_in(held, torch.bfloat16, exact=boundary_layers(held))
    image, latent = decode_in_slabs(held, z, 20_000), encode_in_slabs(held, x, 20_000)
    assert float((image - expected).std() / expected.std()) < 0.02
    assert float((latent - expected_latent).std() / expected_latent.std()) < 0.02
