"""What tests share is imported from here by tests, scripts and child processes: `from tests.factories import …`."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""Folder of the repository."""
