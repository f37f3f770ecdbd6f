"""How much of its noise a magnitude of low signal shows: Rician data varies less than sigma."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import i0e, i1e

from inversesr.volume import Image

# Above this ratio of signal to noise, Rician noise is Gaussian to 1 %.
GAUSSIAN_SNR = 5.0


def shrinkage(shown_snr: Image) -> Image:
    """Return the share of sigma that magnitudes show.

    Args:
        shown_snr: Their mean over the deviation that they show.

    Reference: Koay, Basser (2006), Analytically exact correction scheme for signal extraction
    from noisy magnitude MR signals, Journal of Magnetic Resonance 179(2):317-322,
    doi:10.1016/j.jmr.2006.01.016.
    """
    snr = np.linspace(0.0, GAUSSIAN_SNR, 501)
    shown = np.sqrt(_rician_variance(snr))
    mean = np.sqrt(np.maximum(snr**2 + 2.0 - shown**2, 1e-9))
    found = np.interp(shown_snr, mean / shown, shown)
    return np.asarray(np.where(shown_snr > GAUSSIAN_SNR, 1.0, found), dtype=np.float32)


def _rician_variance(snr: NDArray[np.float64]) -> NDArray[np.float64]:
    """Variance of Rician data of unit noise (Koay and Basser 2006, equation 17)."""
    h = snr**2 / 4.0
    bessel = (2.0 + snr**2) * i0e(h) + snr**2 * i1e(h)
    return np.asarray(2.0 + snr**2 - np.pi / 8.0 * bessel**2)
