"""Reconstruction of complex images from k-space: one method a file, one table of them."""
