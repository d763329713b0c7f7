"""What the file of a net, or of a dataset, imports."""

from __future__ import annotations

from bench.core.architecture import Architecture, Choice, Range
from bench.core.pictures import ImageData
from bench.core.recipe import Budget, Recipe

__all__ = ["Architecture", "Budget", "Choice", "ImageData", "Range", "Recipe"]
