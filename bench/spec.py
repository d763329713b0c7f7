"""What a net's file imports."""

from __future__ import annotations

from bench.core.architecture import Architecture, Choice, Range
from bench.core.errors import MisfitError
from bench.core.recipe import Budget, Recipe

__all__ = ["Architecture", "Budget", "Choice", "MisfitError", "Range", "Recipe"]
