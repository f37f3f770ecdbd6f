"""NV-Generate-MR-Brain (MAISI v2) as data: what its `prior.json` will say.

Every number was read from the public code, https://github.com/NVIDIA-Medtech/NV-Generate-CTMR:
networks and flow from `configs/config_network_rflow.json`; classes from
`configs/modality_mapping.json`; files from
`configs/environment_maisi_diff_model_rflow-mr-brain.json` and `scripts/download_model_data.py`;
scale, voxel size and guidance from `scripts/diff_model_infer.py`; dropped classes and loss from
`scripts/diff_model_train.py`; intensities and axes from `scripts/transforms.py` and
`scripts/diff_model_create_training_data.py`; licence from `README.md`. None was compared with the
published weights.

Reference: Zhao, Guo, Yang, et al. (2025), MAISI-v2, arXiv:2508.05772.
"""

from typing import Any

CODE = "https://github.com/NVIDIA-Medtech/NV-Generate-CTMR"
NAME = "nv-generate-mr-brain"
N_DENOISER_TENSORS, N_DENOISER_PARAMETERS = 435, 180_500_868
N_AUTOENCODER_TENSORS, N_AUTOENCODER_PARAMETERS = 130, 20_944_897
# Classes of whole heads; those of stripped brains are 29 to 32 in the same order.
CONTRASTS = {"T1w": 9, "T2w": 10, "FLAIR": 11, "SWI": 20}
UNKNOWN_CLASS = 0
# A latent of 32 x 32 x 32 voxels, for which MONAI's RFlowScheduler spaces timesteps evenly.
# The configuration's `scale` of 1.4 has no effect: timesteps are drawn uniformly.
BASE_VOXELS = 32.0**3


def _autoencoder() -> dict[str, Any]:
    """Describe the autoencoder, with the names that AutoencoderKL gives its arguments."""
    arguments = {
        "spatial_dims": 3,
        "in_channels": 1,
        "out_channels": 1,
        "latent_channels": 4,
        "channels": [64, 128, 256],
        "num_res_blocks": [2, 2, 2],
        "norm_num_groups": 32,
        "norm_eps": 1e-6,
        "attention_levels": [False, False, False],
        "with_encoder_nonlocal_attn": False,
        "with_decoder_nonlocal_attn": False,
    }
    file = "autoencoder.safetensors"
    return {"network": "MaisiAutoencoder", "file": file, "arguments": arguments}


def _denoiser() -> dict[str, Any]:
    """Describe the denoiser; its flash attention, which only saves memory, is left out."""
    arguments = {
        "spatial_dims": 3,
        "in_channels": 4,
        "out_channels": 4,
        "num_channels": [64, 128, 256, 512],
        "attention_levels": [False, False, True, True],
        "num_head_channels": [0, 0, 32, 32],
        "num_res_blocks": 2,
        "include_top_region_index_input": False,
        "include_bottom_region_index_input": False,
        "include_spacing_input": True,
        "num_class_embeds": 128,
        "resblock_updown": True,
        "include_fc": True,
    }
    file = "denoiser.safetensors"
    return {"network": "DiffusionModelUNetMaisi", "file": file, "arguments": arguments}


def nv_generate_card(contrast: str) -> dict[str, Any]:
    """Return the content of `prior.json` for heads of one contrast; the weights are the same.

    Args:
        contrast: A name in CONTRASTS.
    """
    name = NAME if contrast == "T1w" else f"{NAME}-{contrast.lower()}"
    return {
        "format": 1,
        "name": name,
        "version": "v1",
        "licence": "NVIDIA Open Model License",
        "citation": "Zhao et al. (2025), MAISI-v2, arXiv:2508.05772; Guo et al. (2025), MAISI, "
        "arXiv:2409.11169",
        "intended_use": "Research on brain MRI of whole heads; not to be used clinically.",
        "limits": "Clinical scans of MR-RATE, of patients, without contrast agent. Whole heads, "
        "in sides of 128, 256, 384 or 512 voxels in training; any multiple of 32 here. Trained "
        "with an absolute error, so that its denoiser tends to a median and not to the mean. "
        "Published images were sampled with guidance of 10, which no restoration here uses. Not "
        "verified with the published weights.",
        "modality": contrast,
        "skull": "present",
        "grid": {
            "kind": "free",
            "spacing_mm": [1.0, 1.0, 1.0],
            "axcodes": "RAS",
            # three halvings of the denoiser after two of the autoencoder
            "multiple": 32,
            "oriented": True,
        },
        "intensity": {
            "low_percentile": 0.0,
            "high_percentile": 99.5,
            "network_low": 0.0,
            "network_high": 1.0,
        },
        # the scale lies in the checkpoint of the denoiser, from which the import takes it
        "latent": {"channels": 4, "factor": 4, "scale": 1.0, "has_encoder": True},
        "networks": {"autoencoder": _autoencoder(), "denoiser": _denoiser()},
        "schedule": {
            "kind": "rectified_flow",
            "n_steps": 1000,
            "prediction": "flow",
            "spacing": "trailing",
            "arguments": {"base_voxels": BASE_VOXELS},
        },
        "conditioning": {
            "class_label": CONTRASTS[contrast],
            "null_class": UNKNOWN_CLASS,
            "spacing_factor": 100.0,
        },
    }
