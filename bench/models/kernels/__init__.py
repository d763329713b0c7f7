"""The suite's own kernels."""
