"""Published models with small widths, and files in the form in which they are published."""

import copy

import torch

from inversesr.priors.brlp import BRLP
from inversesr.priors.nv_generate import nv_generate_card
from tests.support.golden import randomise

SCALE = 0.97


def small_brlp():
    """BrLP in every respect but its widths and its grid, whose latent needs padding too."""
    data = copy.deepcopy(BRLP)
    data["networks"]["autoencoder"]["arguments"] |= {
        "channels": [4, 8, 8, 8],
        "norm_num_groups": 4,
    }
    data["networks"]["denoiser"]["arguments"] |= {
        "channels": [8, 16, 24],
        "num_head_channels": [0, 16, 24],
        "norm_num_groups": 4,
    }
    data["grid"] |= {"shape": [24, 48, 24]}
    return data


def small_nv(contrast="T1w", base_voxels=512.0 / 27.0):
    """NV-Generate-MR-Brain in every respect but its widths.

    For a latent of 8 x 8 x 8, timesteps are moved by the ratio 3, which keeps two of them whole.
    """
    data = nv_generate_card(contrast)
    data["networks"]["autoencoder"]["arguments"] |= {
        "channels": [4, 8, 8],
        "norm_num_groups": 4,
    }
    data["networks"]["denoiser"]["arguments"] |= {
        "num_channels": [8, 8, 16, 16],
        "num_head_channels": [0, 0, 8, 8],
        "norm_num_groups": 4,
        "num_res_blocks": 1,
    }
    data["schedule"]["arguments"] = {"base_voxels": base_voxels}
    return data


def maisi_networks(data):
    """Build MONAI's own MAISI networks as the published code does, with random weights."""
    from monai.apps.generation.maisi.networks import (
        autoencoderkl_maisi,
        diffusion_model_unet_maisi,
    )

    arguments = dict(data["networks"]["autoencoder"]["arguments"])
    arguments["num_channels"] = arguments.pop("channels")
    autoencoder = autoencoderkl_maisi.AutoencoderKlMaisi(
        **arguments, num_splits=1, dim_split=1, norm_float16=False, use_convtranspose=False
    )
    denoiser = diffusion_model_unet_maisi.DiffusionModelUNetMaisi(
        **data["networks"]["denoiser"]["arguments"]
    )
    return randomise(autoencoder), randomise(denoiser, seed=1)


def write_nv_files(folder, autoencoder, denoiser):
    """Write the two files of NV-Generate-MR-Brain in their published form."""
    (folder / "models").mkdir(parents=True)
    torch.save(autoencoder.state_dict(), folder / "models" / "autoencoder_v1.pt")
    trained = {
        "epoch": 7,
        "loss": torch.tensor(0.1),
        "num_train_timesteps": 1000,
        "scale_factor": torch.tensor(SCALE),
        "unet_state_dict": denoiser.state_dict(),
    }
    torch.save(trained, folder / "models" / "diff_unet_3d_rflow-mr-brain_v1.pt")
    return folder
