"""Builders of measurements: what was measured, by which operator, with which noise."""
