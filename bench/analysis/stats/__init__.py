"""Tests and estimates of plain numbers."""
