"""Conditional diffusion: the posterior mean in one step, posterior samples in a few."""
