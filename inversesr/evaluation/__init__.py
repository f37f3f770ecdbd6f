"""Scores of an image against a known truth."""
