import pickle
import sys
import types
from pathlib import Path

import pytest
import torch

from inversesr.errors import InputError
from inversesr.priors import store as weights


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("INVERSESR_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_the_home_folder_follows_the_environment(own_home, monkeypatch):
    assert weights.home() == own_home
    monkeypatch.delenv("INVERSESR_HOME")
    assert weights.home().name == "inversesr"


def test_a_prior_is_found_by_name_and_by_folder(own_home):
    folder = own_home / "priors" / "mine"
    folder.mkdir(parents=True)
    (folder / "prior.json").write_text("{}")
    assert weights.find_prior("mine") == folder
    assert weights.find_prior(folder) == folder
    assert weights.prior_folders()["mine"] == folder


def test_a_prior_that_is_not_there_is_answered_with_the_command_that_brings_it():
    with pytest.raises(InputError, match="`inversesr prior fetch brain-ldm`"):
        weights.find_prior("brain-ldm")


def test_a_folder_without_a_card_is_answered_with_the_import_command(tmp_path):
    with pytest.raises(InputError, match="`inversesr prior import "):
        weights.find_prior(tmp_path)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_saving_and_loading_keeps_every_value_that_the_type_can_hold(tmp_path, dtype):
    tensors = {"a.weight": torch.randn(3, 4, generator=torch.Generator().manual_seed(0)).to(dtype)}
    tensors["n"] = torch.tensor([1, 2, 3])
    path = tmp_path / "x.safetensors"
    weights.save_tensors(path, tensors, dtype)
    back = weights.load_tensors(path)
    assert all(
        torch.equal(back[k], tensors[k]) and back[k].dtype == v.dtype for k, v in tensors.items()
    )
    assert weights.load_tensors(path, torch.float32)["a.weight"].dtype == torch.float32
    assert list(tmp_path.glob("*.part")) == []


def test_tensors_that_share_memory_are_saved_apart(tmp_path):
    base = torch.arange(6.0)
    weights.save_tensors(tmp_path / "x.safetensors", {"a": base, "b": base.view(2, 3)[:, 1]})
    assert torch.equal(
        weights.load_tensors(tmp_path / "x.safetensors")["b"], torch.tensor([1.0, 4.0])
    )


def test_a_file_that_differs_is_refused_with_the_command_that_brings_the_right_one(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"abc")
    size, sha256 = 3, weights.digest(path)
    weights.check_file(path, size, sha256, "x")
    with pytest.raises(
        InputError, match=r"has 3 bytes; expected 4: run `inversesr prior fetch x`"
    ):
        weights.check_file(path, 4, sha256, "inversesr prior fetch x")
    path.write_bytes(b"abd")
    with pytest.raises(InputError, match="SHA-256"):
        weights.check_file(path, size, sha256, "x")
    path.unlink()
    with pytest.raises(InputError, match="is missing"):
        weights.check_file(path, size, sha256, "x")


def test_a_damaged_safetensors_file_is_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"not tensors at all")
    with pytest.raises(InputError, match="no readable safetensors"):
        weights.load_tensors(path)


@pytest.mark.parametrize("name", ["x.pt", "x.safetensors"])
def test_a_missing_checkpoint_is_named(tmp_path, name):
    with pytest.raises(InputError, match=f"{name} is missing"):
        weights.read_checkpoint(tmp_path / name)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_state_dict_is_read_and_nested_ones_are_flattened(tmp_path, zipped):
    path = tmp_path / "x.pt"
    state = {"epoch": 3, "state_dict": {"a.weight": torch.ones(2)}}
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    assert torch.equal(weights.read_checkpoint(path)["state_dict.a.weight"], torch.ones(2))


def save_pickled_module(path, *, zipped=True):
    """Save a whole module of a package that no longer exists when the file is read."""
    package = types.ModuleType("vanished")
    exec(
        "import torch\n"
        "class Net(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.first = torch.nn.Conv3d(1, 2, 1)\n"
        "        self.rest = torch.nn.ModuleList([torch.nn.Linear(2, 2, bias=False)])\n"
        "        self.register_buffer('betas', torch.arange(3.0))\n",
        vars(package),
    )
    sys.modules["vanished"] = package
    package.Net.__module__ = "vanished"
    net = package.Net()
    torch.save(net, path, _use_new_zipfile_serialization=zipped)
    del sys.modules["vanished"]
    return net.state_dict()


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
def test_a_pickled_module_is_read_without_its_classes_only_when_trusted(tmp_path, zipped):
    path = tmp_path / "model.pth"
    expected = save_pickled_module(path, zipped=zipped)
    with pytest.raises(InputError, match="--trust-pickle"):
        weights.read_checkpoint(path)
    found = weights.read_checkpoint(path, trust_pickle=True)
    assert set(found) == set(expected)
    assert all(torch.equal(found[k], v) for k, v in expected.items())


class Attack:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (Path.touch, (self.target,))


def test_a_trusted_pickle_still_runs_nothing(tmp_path):
    path, target = tmp_path / "model.pth", tmp_path / "touched"
    torch.save({"a": torch.ones(1), "b": Attack(target)}, path)
    assert set(weights.read_checkpoint(path, trust_pickle=True)) == {"a"}
    assert not target.exists()


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    path = tmp_path / "x.pt"
    path.write_bytes(pickle.dumps([1])[:3])
    with pytest.raises(InputError, match=r"x\.pt"):
        weights.read_checkpoint(path)


def test_what_is_kept_is_made_once_and_again_for_another_recipe_or_a_damaged_file(own_home):
    made = []

    def make():
        made.append(len(made))
        return torch.full((2, 3), float(len(made)))

    first = weights.kept("mean", "a", make)
    assert torch.equal(weights.kept("mean", "a", make), first)
    assert len(made) == 1
    assert float(weights.kept("mean", "b", make)[0, 0]) == 2.0
    files = sorted((own_home / "made").iterdir())
    assert len(files) == 2
    for file in files:
        file.write_bytes(b"damaged")
    assert float(weights.kept("mean", "a", make)[0, 0]) == 3.0
    assert float(weights.kept("mean", "a", make)[0, 0]) == 3.0


def test_what_cannot_be_kept_is_still_made(own_home):
    own_home.write_text("a file where a folder should be")
    assert float(weights.kept("mean", "a", lambda: torch.ones(1))) == 1.0


def test_a_name_goes_before_a_folder_of_that_name(tmp_path, monkeypatch):
    (tmp_path / "builtin").mkdir()
    (tmp_path / "builtin" / weights.CARD_NAME).write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert weights.find_prior("builtin").parent == weights.SHIPPED_PRIORS
    assert weights.find_prior("./builtin") == Path("builtin")


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", "", "a b"])
def test_a_prior_is_never_installed_outside_its_folder(name):
    with pytest.raises(InputError, match="expected letters, digits"):
        weights.folder_of(name)


def test_what_cannot_be_kept_is_made_all_the_same(own_home):
    own_home.write_text("a file where a folder should be")
    assert float(weights.kept("mean", "recipe", lambda: torch.ones(1))) == 1.0


def test_a_failed_write_is_an_error_of_the_system_and_leaves_nothing(tmp_path):
    with pytest.raises(OSError, match="cannot be written"):
        weights.save_tensors(tmp_path / "absent" / "a.safetensors", {"a": torch.ones(2)})
    assert not list(tmp_path.rglob("*.part"))
