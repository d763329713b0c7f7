"""How the layers of any net come to the kernels as chains, while its printed forward runs."""
