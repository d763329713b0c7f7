"""Faster ways to run a net that compute what it computes as printed."""
