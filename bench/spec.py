"""What the file of a net, or of a dataset, imports."""

from __future__ import annotations

from bench.core.architecture import Architecture, Choice, Range
from bench.core.errors import MisfitError
from bench.core.pictures import ImageData
from bench.core.recipe import Budget, Recipe
from bench.core.work.claims.claim import Arm, Case, Claim

__all__ = ["Architecture", "Arm", "Budget", "Case", "Choice", "Claim", "ImageData", "MisfitError", "Range", "Recipe"]
