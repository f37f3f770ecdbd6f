"""A super-resolution U-Net, fine-tuned on the scan."""
