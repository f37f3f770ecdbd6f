"""Comparisons of solvers and priors against known truths."""
