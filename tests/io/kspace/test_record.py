import numpy as np

from inversesr.io.kspace.record import KSpace


def test_acceleration_counts_samples():
    measured = np.zeros((4, 8, 1), dtype=bool)
    measured[:, ::2] = True
    kspace = KSpace(np.ones((3, 4, 8, 1), dtype=np.complex64), measured, (0, 1))
    assert kspace.acceleration == 2.0
    assert (kspace.n_coils, kspace.shape) == (3, (4, 8, 1))
