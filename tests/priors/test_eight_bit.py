import torch

from inversesr.priors.eight_bit import SCALE_SUFFIX, from_eight_bits, to_eight_bits
from inversesr.priors.tensors import load_tensors, save_tensors, stored_shapes


def made_up(seed=0):
    generator = torch.Generator().manual_seed(seed)
    kernel = torch.randn(6, 3, 3, 3, 3, generator=generator)
    # channels of very different size
    kernel *= torch.logspace(-4, 1, 6)[:, None, None, None, None]
    return {"a.weight": kernel, "a.bias": torch.randn(6, generator=generator)}


def restored(stored):
    names = [name for name in stored if not name.endswith(SCALE_SUFFIX)]
    return {name: from_eight_bits(name, stored, stored.__getitem__) for name in names}


def test_a_weight_is_off_by_half_a_step_of_its_channel_at_most():
    weight = made_up()["a.weight"]
    found = restored(to_eight_bits({"w": weight}))["w"]
    largest = weight.flatten(1).abs().amax(1)
    off = (found - weight).flatten(1).abs().amax(1)
    assert bool((off <= largest / 254 * (1 + 1e-5)).all())
    assert bool((off > largest / 1000).all())


def test_what_was_stored_is_stored_again_without_change():
    once = restored(to_eight_bits(made_up()))
    twice = restored(to_eight_bits(once))
    for name, tensor in once.items():
        torch.testing.assert_close(twice[name], tensor, rtol=1e-6, atol=0.0)


def test_a_channel_of_zeros_stays_zero():
    assert not restored(to_eight_bits({"w": torch.zeros(2, 3)}))["w"].any()


def test_a_file_is_half_as_large_and_its_names_and_shapes_are_the_same(tmp_path):
    tensors = {"w": torch.randn(64, 64, 3, 3, 3), "b": torch.randn(64), "n": torch.tensor([3])}
    eight, sixteen = tmp_path / "8.safetensors", tmp_path / "16.safetensors"
    save_tensors(eight, tensors, torch.int8)
    save_tensors(sixteen, tensors, torch.float16)
    assert eight.stat().st_size < 0.51 * sixteen.stat().st_size
    assert stored_shapes(eight) == stored_shapes(sixteen)
    found = load_tensors(eight)
    assert {n: t.dtype for n, t in found.items()} == {
        "w": torch.float32,
        "b": torch.float16,
        "n": torch.int64,
    }
    torch.testing.assert_close(found["w"], tensors["w"], atol=0.03, rtol=0.0)
    assert load_tensors(eight, torch.bfloat16)["w"].dtype == torch.bfloat16
