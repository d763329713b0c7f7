"""Nets as objects: found, loaded, built, counted, hashed and checked."""
