"""Finds architectures, loads them, hashes their source, counts them and checks them before training."""
