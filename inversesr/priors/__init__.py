"""Generative models of the brain, and the networks they are made of."""
