import pytest
import torch

from inversesr.errors import InputError
from inversesr.priors.tensors import cached, load_tensors, save_tensors


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("INVERSESR_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_saving_and_loading_keeps_every_value_that_the_type_can_hold(tmp_path, dtype):
    tensors = {"a.weight": torch.randn(3, 4, generator=torch.Generator().manual_seed(0)).to(dtype)}
    tensors["n"] = torch.tensor([1, 2, 3])
    path = tmp_path / "x.safetensors"
    save_tensors(path, tensors, dtype)
    back = load_tensors(path)
    assert all(
        torch.equal(back[k], tensors[k]) and back[k].dtype == v.dtype for k, v in tensors.items()
    )
    assert load_tensors(path, torch.float32)["a.weight"].dtype == torch.float32
    assert list(tmp_path.glob("*.part")) == []


def test_tensors_that_share_memory_are_saved_apart(tmp_path):
    base = torch.arange(6.0)
    save_tensors(tmp_path / "x.safetensors", {"a": base, "b": base.view(2, 3)[:, 1]})
    assert torch.equal(load_tensors(tmp_path / "x.safetensors")["b"], torch.tensor([1.0, 4.0]))


def test_a_damaged_safetensors_file_is_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"not tensors at all")
    with pytest.raises(InputError, match="no readable safetensors"):
        load_tensors(path)


def test_what_is_kept_is_made_once_and_again_for_another_recipe_or_a_damaged_file(own_home):
    made = []

    def make():
        made.append(len(made))
        return torch.full((2, 3), float(len(made)))

    first = cached("mean", "a", make)
    assert torch.equal(cached("mean", "a", make), first)
    assert len(made) == 1
    assert float(cached("mean", "b", make)[0, 0]) == 2.0
    files = sorted((own_home / "made").iterdir())
    assert len(files) == 2
    for file in files:
        file.write_bytes(b"damaged")
    assert float(cached("mean", "a", make)[0, 0]) == 3.0
    assert float(cached("mean", "a", make)[0, 0]) == 3.0


def test_what_cannot_be_kept_is_still_made(own_home):
    own_home.write_text("a file where a folder should be")
    assert float(cached("mean", "a", lambda: torch.ones(1))) == 1.0


def test_what_cannot_be_kept_is_made_all_the_same(own_home):
    own_home.write_text("a file where a folder should be")
    assert float(cached("mean", "recipe", lambda: torch.ones(1))) == 1.0


def test_a_failed_write_is_an_error_of_the_system_and_leaves_nothing(tmp_path):
    with pytest.raises(OSError, match="cannot be written"):
        save_tensors(tmp_path / "absent" / "a.safetensors", {"a": torch.ones(2)})
    assert not list(tmp_path.rglob("*.part"))
