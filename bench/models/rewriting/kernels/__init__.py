"""The kernels of the "lanes" engine: a batch's images side by side in the lanes of a vector, compiled on first use."""
