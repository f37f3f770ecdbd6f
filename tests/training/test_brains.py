import nibabel
import numpy as np
import pytest
import torch

from inversesr.errors import InputError
from inversesr.training.brains import (
    UNKNOWN,
    VARIABLES,
    Brain,
    draw_brain,
    known_of,
    moved,
    read_brains,
    scaled,
)

SHAPE = (24, 28, 20)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def image_brain():
    voxels = torch.zeros(SHAPE, dtype=torch.uint8)
    voxels[6:18, 6:22, 5:15] = torch.randint(
        60, 200, (12, 16, 10), generator=generator(), dtype=torch.uint8
    )
    return Brain("sub-01_T1w", voxels, {"age": 40.0, "sex": 1.0})


def label_brain():
    voxels = torch.zeros(SHAPE, dtype=torch.int16)
    voxels[6:18, 6:22, 5:15] = 3
    voxels[8:16, 8:20, 7:13] = 2
    voxels[10:14, 12:16, 9:11] = 4
    return Brain("a_seg", voxels, {})


def test_a_brain_as_it_is_is_the_image_that_was_read():
    brain = image_brain()
    image, known = draw_brain(brain, generator(), as_it_is=True)
    assert torch.equal(image, brain.voxels.float() / 255.0)
    assert known == {"age": 40.0, "sex": 1.0, "brain": pytest.approx(1.92)}


def test_ventricles_are_known_of_a_label_map_and_its_image_is_like_a_t1():
    image, known = draw_brain(label_brain(), generator(), as_it_is=True)
    assert known == {"brain": pytest.approx(1.92), "ventricles": pytest.approx(0.032)}
    labels = label_brain().voxels
    means = [float(image[labels == label].mean()) for label in (2, 3, 4)]
    assert means == sorted(means, reverse=True)


def test_moving_changes_a_brain_little_and_makes_no_label_that_was_not_there():
    for brain in (image_brain(), label_brain()):
        found = [moved(brain, generator(seed)) for seed in range(6)]
        sizes = [float((v > 0).sum()) / float((brain.voxels > 0).sum()) for v in found]
        assert all(0.5 < size < 1.9 for size in sizes)
        assert not torch.equal(found[0], found[1])
        assert found[0].dtype == brain.voxels.dtype
    assert set(moved(label_brain(), generator()).unique().tolist()) <= {0, 2, 3, 4}


def test_half_of_the_brains_are_mirrored():
    brain = image_brain()
    left = brain.voxels.clone()
    left[12:] = 0
    one_sided = Brain("x_T1w", left, {})
    sides = [
        float(m[:12].float().sum()) > float(m[12:].float().sum())
        for m in (moved(one_sided, generator(seed)) for seed in range(40))
    ]
    assert 8 <= sum(sides) <= 32


def test_variables_are_scaled_in_the_order_of_the_card_and_unknown_ones_are_marked():
    seen = scaled({"age": 52.5, "brain": 5000.0})
    assert [v.name for v in VARIABLES] == ["sex", "age", "ventricles", "brain"]
    assert seen.tolist() == [UNKNOWN, 0.5, UNKNOWN, 1.0]


def test_who_a_brain_is_stands_in_the_table_beside_it(tmp_path):
    (tmp_path / "participants.tsv").write_text(
        "participant_id\tage\tsex\nsub-01\t40\tF\nsub-02\tn/a\tmale\n"
    )
    assert known_of(tmp_path / "sub-01_T1w.nii.gz") == {"age": 40.0, "sex": 0.0}
    assert known_of(tmp_path / "sub-02_T1w.nii.gz") == {"sex": 1.0}
    assert known_of(tmp_path / "sub-03_T1w.nii.gz") == {}


def test_brains_of_two_grids_are_refused(tmp_path):
    paths = []
    for n in (8, 9):
        paths.append(tmp_path / f"{n}_T1w.nii.gz")
        nibabel.save(nibabel.Nifti1Image(np.ones((n, 8, 8), np.uint8), np.eye(4)), paths[-1])
    assert read_brains(paths[:1])[0].voxels.shape == (8, 8, 8)
    with pytest.raises(InputError, match="inversesr prior align"):
        read_brains(paths)
