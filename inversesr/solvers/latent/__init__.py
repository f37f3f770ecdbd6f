"""Solvers that search the latent space of a generative prior."""
