import pytest
import torch

from inversesr.priors.networks import lean_autograd
from inversesr.priors.networks.fused_upsampling import fusible
from inversesr.priors.networks.lean_autograd import lean_copy


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Small networks on busy cores: threads that wait for one another cost more than they give."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def randn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def randomised(network, dtype=torch.float64):
    """Give every weight, also those that start at zero, a random value."""
    generator = torch.Generator().manual_seed(1)
    for name, parameter in network.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        fan_in = parameter[0].numel()
        around = 1.0 if parameter.ndim == 1 and name.endswith("weight") else 0.0
        parameter.data = around + noise * (0.1 if parameter.ndim == 1 else fan_in**-0.5)
    return network.eval().requires_grad_(requires_grad=False).to(dtype)


def autoencoder(**changes):
    from monai.networks.nets import AutoencoderKL

    arguments = {
        "spatial_dims": 3,
        "channels": (4, 8, 8),
        "num_res_blocks": 1,
        "attention_levels": (False, False, False),
        "latent_channels": 3,
        "norm_num_groups": 4,
        "with_encoder_nonlocal_attn": False,
        "with_decoder_nonlocal_attn": False,
    }
    return randomised(AutoencoderKL(**{**arguments, **changes}))


def denoiser():
    from monai.networks.nets import DiffusionModelUNet

    return randomised(
        DiffusionModelUNet(
            spatial_dims=3,
            in_channels=5,
            out_channels=3,
            channels=(8, 16),
            attention_levels=(False, True),
            num_res_blocks=1,
            norm_num_groups=4,
            resblock_updown=True,
            num_head_channels=(0, 16),
            with_conditioning=True,
            cross_attention_dim=2,
        )
    )


def value_and_gradient(function, x):
    x = x.clone().requires_grad_()
    y = function(x)
    (gradient,) = torch.autograd.grad((y * randn(*y.shape, seed=5)).sum(), x)
    return y.detach(), gradient


def relative(a, b):
    return float((a - b).abs().max() / b.abs().max())


@pytest.mark.parametrize("part", ["decode", "encode"])
@pytest.mark.parametrize("attention", [False, True])
def test_autoencoder_values_and_gradients_are_exact(part, attention):
    stock = autoencoder(
        attention_levels=(False, False, attention), with_decoder_nonlocal_attn=attention
    )
    x = randn(1, 3, 3, 4, 2) if part == "decode" else randn(1, 1, 8, 12, 8)

    def run(network):
        if part == "decode":
            return network.decode
        return lambda image: network.encode(image)[0]

    expected, expected_gradient = value_and_gradient(run(stock), x)
    found, gradient = value_and_gradient(run(lean_copy(stock)), x)
    assert relative(found, expected) < 1e-12
    assert relative(gradient, expected_gradient) < 1e-12


@pytest.mark.parametrize("n_images", [1, 2])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
def test_gradients_do_not_depend_on_slabs_layout_or_batch(n_images, layout, monkeypatch):
    monkeypatch.setattr(lean_autograd, "_SLAB_VOXELS", 50)
    stock = autoencoder()
    z = randn(n_images, 3, 3, 4, 2).contiguous(memory_format=layout)
    expected, expected_gradient = value_and_gradient(stock.decode, z)
    found, gradient = value_and_gradient(lean_copy(stock).decode, z)
    assert relative(found, expected) < 1e-12
    assert relative(gradient, expected_gradient) < 1e-12


def test_denoiser_values_and_gradients_are_exact_in_latent_and_context():
    stock = denoiser()
    lean = lean_copy(stock)
    z, context, t = randn(1, 5, 4, 6, 4), randn(1, 1, 2, seed=3), torch.tensor([300])
    for_latent = [lambda v, n=n: n(v, timesteps=t, context=context) for n in (lean, stock)]
    for_context = [lambda v, n=n: n(z, timesteps=t, context=v) for n in (lean, stock)]
    for pair, x in ((for_latent, z), (for_context, context)):
        (found, gradient), (expected, expected_gradient) = (value_and_gradient(f, x) for f in pair)
        # the network's own time embedding is float32 sines, the same on both sides
        assert relative(found, expected) < 1e-12
        assert relative(gradient, expected_gradient) < 1e-11


def saved_bytes(function, x):
    """Count the memory that autograd keeps between forward and backward, weights left out."""
    kept = {}

    def pack(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        function(x.clone().requires_grad_())
    return sum(kept.values())


def test_less_than_half_the_memory_is_kept():
    stock = autoencoder()
    z = randn(1, 3, 6, 6, 6)
    assert saved_bytes(lean_copy(stock).decode, z) < 0.5 * saved_bytes(stock.decode, z)


def test_the_copy_shares_its_weights_and_leaves_the_original_alone():
    stock = autoencoder()
    lean = lean_copy(stock)
    pairs = zip(stock.parameters(), lean.parameters(), strict=True)
    assert all(a is b for a, b in pairs)
    assert not any("forward" in vars(module) for module in stock.modules())


def test_upsampling_of_an_autoencoder_is_folded():
    blocks = list(autoencoder().decoder.blocks)
    n_levels_below_the_first = 2
    assert sum(fusible(block) is not None for block in blocks) == n_levels_below_the_first


def test_gradients_in_bfloat16_stay_close_to_those_in_float32():
    from inversesr.priors.networks.build import hold_in

    stock = autoencoder(channels=(8, 16, 16)).float()
    z = randn(1, 3, 4, 4, 4).float()
    _, expected = value_and_gradient(lambda v: stock.decode(v).double(), z)
    held = lean_copy(hold_in(autoencoder(channels=(8, 16, 16)).float(), torch.bfloat16))
    _, found = value_and_gradient(lambda v: held.decode(v.bfloat16()).double(), z)
    cosine = torch.nn.functional.cosine_similarity(found.flatten(), expected.flatten(), dim=0)
    assert cosine > 0.995
