import pytest
import torch

from inversesr.training.training_scan import TrainingScan


@pytest.mark.parametrize(("dtype", "is_labels"), [(torch.int16, True), (torch.uint8, False)])
def test_labels_are_told_from_intensities_by_their_type(dtype, is_labels):
    scan = TrainingScan("a", torch.zeros((2, 2, 2), dtype=dtype), 1.0, (0,), 1.0)
    assert scan.is_labels == is_labels
