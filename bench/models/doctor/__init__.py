"""Checks of a net before anything trains."""
