"""Brain Latent Progression (BrLP) as data: what its `prior.json` will say.

Every number was read from the public code, https://github.com/LemuelPuglisi/BrLP (commits
e381d4a and 38a8791): networks from `src/brlp/networks.py`; grid, conditioning and their order
from `src/brlp/const.py`; schedule, scale and padding of latents from `src/brlp/sampling.py`;
intensities from `src/brlp/cli.py`; volumes from `examples/confs.example.yaml`; preprocessing from
`REPR-DATA.md`. None was compared with the published weights.

Reference: Puglisi, Alexander, Ravi (2024), Enhancing spatiotemporal disease progression models
via latent diffusion and prior knowledge, arXiv:2405.03328; (2025), Brain Latent Progression,
doi:10.1016/j.media.2025.103734.
"""

from typing import Any

from inversesr.priors.brain_ldm import BRAIN_LDM

CODE = "https://github.com/LemuelPuglisi/BrLP"
N_DENOISER_TENSORS, N_DENOISER_PARAMETERS = 528, 553_198_595

# smallest and largest volume of the training scans, which the network sees as 0 and 1, and the
# mean as a share of that range; voxels of 1 mm of a SynthSeg segmentation, in the pose
_VOLUMES = {
    "cerebral_cortex": (370_876, 744_801, 0.567),
    "hippocampus": (5_006, 13_955, 0.539),
    "amygdala": (1_462, 5_828, 0.578),
    "cerebral_white_matter": (323_328, 696_723, 0.558),
    # no mean is published: the smallest of the three sizes that were drawn in training
    "lateral_ventricle": (10_404, 191_374, 0.3),
}


def _volume(name: str, low: int, high: int, mean: float) -> dict[str, Any]:
    """Describe the volume of a region, both sides together."""
    default = round(low + mean * (high - low))
    meaning = "mm3 of both sides together, by SynthSeg after the alignment"
    return {"name": name, "low": low, "high": high, "default": default, "meaning": meaning}


def _denoiser() -> dict[str, Any]:
    """Describe the denoiser: the brain LDM's, its conditioning by cross-attention alone."""
    network = BRAIN_LDM["networks"]["denoiser"]
    changed = {"in_channels": 3, "cross_attention_dim": 8}
    return {**network, "arguments": {**network["arguments"], **changed}}


BRLP: dict[str, Any] = {
    "format": 1,
    "name": "brlp",
    "version": "2024",
    "licence": "MIT by the metadata of the code; none is stated for the weights",
    "citation": "Puglisi, Alexander, Ravi (2024), Enhancing spatiotemporal disease progression "
    "models via latent diffusion and prior knowledge, arXiv:2405.03328",
    "intended_use": "Research on skull-stripped T1-weighted brain MRI; not to be used clinically.",
    "limits": "Older adults of ADNI, OASIS 3 and AIBL, healthy to Alzheimer's disease; 1.5 mm, "
    "bias-corrected. Brains were aligned affinely in training and are aligned rigidly here, so "
    "that their size differs from what the network saw. Not verified with the published weights: "
    "the scale of latents is that of the published sampler, 1, whereas training multiplied them "
    "by 1 / std of one of them, which was not published.",
    "modality": "T1w",
    "skull": "stripped",
    "grid": {
        "kind": "fixed",
        "spacing_mm": [1.5, 1.5, 1.5],
        # the template MNI152_T1_1mm_brain, resampled from its first voxel, then one voxel cut off
        # on every side
        "axcodes": "LAS",
        "shape": [120, 144, 120],
        "origin_mm": [88.5, -124.5, -70.5],
        "pose": "MNI152",
        "multiple": 8,
    },
    "intensity": {
        "low_percentile": 0.0,
        "high_percentile": 100.0,
        "network_low": 0.0,
        "network_high": 1.0,
    },
    "latent": {"channels": 3, "factor": 8, "scale": 1.0, "has_encoder": True, "multiple": 4},
    "networks": {"autoencoder": BRAIN_LDM["networks"]["autoencoder"], "denoiser": _denoiser()},
    "schedule": {
        "kind": "scaled_linear",
        "n_steps": 1000,
        "prediction": "epsilon",
        "spacing": "leading",
        "arguments": {"beta_start": 0.0015, "beta_end": 0.0205},
    },
    "conditioning": {
        "concatenated": False,
        "cross_attention": True,
        "variables": [
            {"name": "age", "low": 0, "high": 100, "default": 75, "meaning": "years"},
            {"name": "sex", "low": 0, "high": 1, "default": 0.5, "meaning": "male 0, female 1"},
            {
                "name": "diagnosis",
                "low": 0,
                "high": 1,
                "default": 0,
                "meaning": "cognitively normal 0, mild impairment 0.5, Alzheimer's disease 1",
            },
            *(_volume(name, *numbers) for name, numbers in _VOLUMES.items()),
        ],
    },
}
