import torch

from inversesr.solvers.protection import protected_facts


def test_the_share_counts_voxels_that_are_mostly_marked():
    mask = torch.tensor([0.0, 0.4, 0.6, 1.0])
    assert protected_facts(mask) == {"protected_share": 0.5}
