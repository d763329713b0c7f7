"""Reads what a user names to be predicted, and tells what is unlike the data."""
