"""Trains the built-in prior, on the scans of this project or on yours."""
