"""Verified datasets as whole arrays, and how they are split."""
