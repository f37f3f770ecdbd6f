"""Conversion of published checkpoints into priors."""
