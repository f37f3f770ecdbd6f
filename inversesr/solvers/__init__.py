"""Solvers: each finds the thin slices behind a scan by one published method, in one file."""
