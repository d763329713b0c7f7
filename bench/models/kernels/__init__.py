"""Kernels that keep the images of a batch in the lanes of a vector, and how nets are run by them."""
