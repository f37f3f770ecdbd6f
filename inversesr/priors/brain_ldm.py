"""The UK Biobank brain latent diffusion model as data: what its `prior.json` will say.

Reference: Pinaya, Tudosiu, Dafflon, et al. (2022), Brain imaging generation with latent diffusion
models, doi:10.1007/978-3-031-18576-2_12. The networks and the schedule are those of the public
bundle `brain_image_synthesis_latent_diffusion_model` 1.0.3.
"""

from typing import Any

REPOSITORY = "MONAI/brain_image_synthesis_latent_diffusion_model"
# file in the repository -> its MD5
REPOSITORY_FILES = {
    "models/autoencoder.pt": "329e97b3085643ff235f11f049856242",
    "models/model.pt": "21c3047556fb671caf0556f1cce6ef22",
}
N_DENOISER_TENSORS, N_DENOISER_PARAMETERS = 528, 553_168_899
N_AUTOENCODER_TENSORS, N_AUTOENCODER_PARAMETERS = 162, 13_766_248

BRAIN_LDM: dict[str, Any] = {
    "format": 1,
    "name": "brain-ldm",
    "version": "1.0.3",
    "licence": "Apache-2.0",
    "citation": "Pinaya et al. (2022), Brain imaging generation with latent diffusion models, "
    "doi:10.1007/978-3-031-18576-2_12",
    "intended_use": "Research on T1-weighted brain MRI; not to be used clinically.",
    "limits": "Healthy adults of 44 to 82 years scanned by UK Biobank, whole head. The origin of "
    "the grid is an estimate: align each scan to a decoded sample, not to the origin alone.",
    "modality": "T1w",
    "skull": "present",
    "grid": {
        "kind": "fixed",
        "spacing_mm": [1.0, 1.0, 1.0],
        # the first axis runs to the left, as in the bundle's own image writer
        "axcodes": "LAS",
        "shape": [160, 224, 160],
        "origin_mm": [79.5, -129.0, -71.0],
        "pose": "MNI152",
        "multiple": 8,
    },
    "intensity": {
        "low_percentile": 0.0,
        "high_percentile": 100.0,
        "network_low": 0.0,
        "network_high": 1.0,
    },
    "latent": {"channels": 3, "factor": 8, "scale": 1.0, "has_encoder": True},
    "networks": {
        "autoencoder": {
            "network": "AutoencoderKL",
            "file": "autoencoder.safetensors",
            "arguments": {
                "spatial_dims": 3,
                "in_channels": 1,
                "out_channels": 1,
                "latent_channels": 3,
                "channels": [64, 128, 128, 128],
                "num_res_blocks": 2,
                "norm_num_groups": 32,
                "norm_eps": 1e-6,
                "attention_levels": [False, False, False, False],
                "with_encoder_nonlocal_attn": False,
                "with_decoder_nonlocal_attn": False,
            },
        },
        "denoiser": {
            "network": "DiffusionModelUNet",
            "file": "denoiser.safetensors",
            "arguments": {
                "spatial_dims": 3,
                "in_channels": 7,
                "out_channels": 3,
                "channels": [256, 512, 768],
                "num_res_blocks": 2,
                "attention_levels": [False, True, True],
                "norm_num_groups": 32,
                "norm_eps": 1e-6,
                "resblock_updown": True,
                "num_head_channels": [0, 512, 768],
                "with_conditioning": True,
                "transformer_num_layers": 1,
                "cross_attention_dim": 4,
                "upcast_attention": True,
            },
        },
    },
    "schedule": {
        "kind": "scaled_linear",
        "n_steps": 1000,
        "prediction": "epsilon",
        "spacing": "leading",
        "arguments": {"beta_start": 0.0015, "beta_end": 0.0205},
    },
    "conditioning": {
        "concatenated": True,
        "cross_attention": True,
        "variables": [
            {"name": "sex", "low": 0, "high": 1, "default": 0.5, "meaning": "female 0, male 1"},
            {"name": "age", "low": 44, "high": 82, "default": 63, "meaning": "years"},
            {
                "name": "ventricular_volume",
                "low": 0,
                "high": 1,
                "default": 0.5,
                "meaning": "smallest 0 to largest 1 of UK Biobank",
            },
            {
                "name": "brain_volume",
                "low": 0,
                "high": 1,
                "default": 0.5,
                "meaning": "smallest 0 to largest 1 of UK Biobank, relative to the head",
            },
        ],
    },
}
