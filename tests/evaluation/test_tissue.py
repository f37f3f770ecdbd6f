import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from inversesr.errors import InputError
from inversesr.evaluation.tissue import agreement, likeliest_mixture, segment, without_bias
from inversesr.io.nifti import read_scan
from inversesr.training import synthetic
from tests.support.tissues import painted_brain, tissue_labels

LABELS = tissue_labels()
BRAIN = LABELS > 0
# white matter that has no twin, as label maps name it besides
MORE_WHITE = (77, 251, 252, 253, 254, 255)


def dice_of(found, truth=LABELS):
    return min(agreement(found, truth).dice.values())


@pytest.mark.parametrize("noise", [1.0, 6.0])
def test_painted_tissues_are_found_again(noise):
    image = painted_brain(LABELS, noise).data
    found = segment(image, BRAIN)
    assert dice_of(found) > 0.97
    assert not found[~BRAIN].any()


def test_a_gain_and_an_offset_change_no_label():
    image = painted_brain(LABELS).data
    first, second = segment(image, BRAIN), segment(7.0 * image + 40.0, BRAIN)
    assert dice_of(second, first) > 0.99


def test_the_bias_field_of_a_coil_is_removed():
    shading = np.exp(0.6 * np.linspace(-1, 1, 32))[:, None, None].astype(np.float32)
    image = painted_brain(LABELS).data * shading
    assert dice_of(segment(image, BRAIN)) > 0.93
    inside = LABELS == 3
    spread = [np.std(x[inside]) / np.mean(x[inside]) for x in (image, without_bias(image, BRAIN))]
    assert spread[1] < 0.5 * spread[0]


def test_neighbours_decide_where_noise_hides_the_tissue(monkeypatch):
    labels = tissue_labels((40, 40, 40))
    image = painted_brain(labels, 10.0).data
    with_neighbours = dice_of(segment(image, labels > 0), labels)
    monkeypatch.setattr("inversesr.evaluation.tissue.COUPLING", 0.0)
    assert with_neighbours > dice_of(segment(image, labels > 0), labels) + 0.04


def test_little_fluid_does_not_become_half_of_the_grey_matter():
    inner = (LABELS == 3) & (np.roll(LABELS, 2, 0) == 2)
    labels = np.where(LABELS == 1, 0, np.where(inner, 1, LABELS)).astype(np.int8)
    assert (labels == 1).sum() < 0.1 * (labels > 0).sum()
    assert dice_of(segment(painted_brain(labels).data, labels > 0), labels) > 0.9


def test_images_of_one_brain_begin_at_one_mixture_and_keep_its_scale():
    truth, noisy = (painted_brain(LABELS, noise).data for noise in (2.0, 8.0))
    mixture = likeliest_mixture(truth, BRAIN)
    np.testing.assert_allclose(mixture.means, [25.0, 70.0, 100.0], atol=4.0)
    assert mixture.shares.sum() == pytest.approx(1.0)
    assert dice_of(segment(truth, BRAIN, mixture), segment(truth, BRAIN)) == 1.0
    assert dice_of(segment(noisy, BRAIN, mixture)) > 0.9


def test_the_mean_of_the_brain_stays_when_its_bias_field_goes():
    image = painted_brain(LABELS).data
    even = without_bias(image, BRAIN)
    assert even[BRAIN].mean() == pytest.approx(image[BRAIN].mean(), rel=1e-4)


def test_dice_and_volumes_are_those_counted_by_hand():
    truth = np.array([1, 1, 2, 2, 2, 3], dtype=np.int8)
    found = np.array([1, 2, 2, 2, 2, 2], dtype=np.int8)
    result = agreement(found, truth)
    assert result.dice == {"fluid": 2 / 3, "grey": 0.75, "white": 0.0}
    assert result.volume == {"fluid": 0.5, "grey": 5 / 3, "white": 0.0}


def test_tissues_that_neither_has_agree_and_one_that_only_one_has_does_not():
    only_grey = np.array([2, 2], dtype=np.int8)
    assert agreement(only_grey, only_grey).dice["white"] == 1.0
    found = agreement(np.array([2, 3], dtype=np.int8), only_grey)
    assert (found.dice["white"], found.volume["white"]) == (0.0, np.inf)


def test_too_small_or_empty_brains_are_refused():
    small = np.zeros(LABELS.shape, bool)
    small[:4, :4, :4] = True
    with pytest.raises(InputError, match="64 voxels are brain; expected at least 1000"):
        segment(painted_brain(LABELS).data, small)
    with pytest.raises(InputError, match="one intensity only"):
        segment(np.full(LABELS.shape, 5.0, np.float32), BRAIN)


def label_map(name):
    root = os.environ.get("INVERSESR_TEST_DATA")
    file = Path(root or "") / "train_labels" / f"{name}.nii.gz"
    if not root or not file.is_file():
        pytest.skip("set INVERSESR_TEST_DATA to the folder of real scans")
    return read_scan(file).volume


def tissues_of(labels):
    """Fluid, grey and white matter of FreeSurfer labels."""
    sided = np.arange(512)
    sided[list(synthetic.LEFT_OF_RIGHT)] = list(synthetic.LEFT_OF_RIGHT.values())
    labels = sided[labels]
    is_brain = (labels > 0) & (labels < 500)
    white, fluid = (
        np.isin(labels, names)
        for names in ((*synthetic.WHITE_MATTER, *MORE_WHITE), synthetic.FLUID)
    )
    return (is_brain * np.select([white, fluid], [3, 1], 2)).astype(np.int8)


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("synthseg_training_seg_01", (0.9, 0.85, 0.9)),
        ("synthseg_training_seg_07", (0.9, 0.85, 0.9)),
        ("synthseg_training_seg_20", (0.9, 0.85, 0.9)),
        # no fluid but that of the ventricles: 1 % of the voxels
        ("mne_seeg_aparc+aseg_seg", (0.0, 0.7, 0.9)),
    ],
)
def test_label_maps_painted_as_t1_are_segmented_as_they_are_labelled(name, least):
    """Prints the figures of docs/decisions/033-tissues.md; run it with -s."""
    # every second voxel is quick
    labels = label_map(name).data[::2, ::2, ::2].astype(np.int64)
    # the parcels of the cortex are cortex; what lies outside the brain is left out
    labels = np.where(labels >= 1000, 3, np.where(labels >= 500, 0, labels))
    ends = zip(*(f(np.argwhere(labels > 0), axis=0) for f in (np.min, np.max)), strict=True)
    labels = np.ascontiguousarray(labels[tuple(slice(a, b + 1) for a, b in ends)])
    truth = tissues_of(labels)
    # by the usual jitter the cortex may be as bright as white matter, which T1 is not
    config = synthetic.SyntheticConfig(
        familiar=1.0, contrasts=("T1w",), stripped=1.0, lesions=0.0, jitter=0.03
    )
    found = []
    for seed in range(12):
        generator = torch.Generator().manual_seed(seed)
        image = synthetic.paint(torch.from_numpy(labels), config, generator).numpy()
        fluid, grey, white = (image[truth == k].mean() for k in (1, 2, 3))
        if min(grey - fluid, white - grey) < 0.15 or len(found) == 4:
            continue
        dice = agreement(segment(image, truth > 0), truth).dice
        found.append(list(dice.values()))
        figures = " ".join(f"{tissue} {share:.3f}" for tissue, share in dice.items())
        sys.stdout.write(f"\n{name} seed {seed} {figures}")
    assert (np.min(found, axis=0) > least).all()
