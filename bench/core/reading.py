"""How images are read: brought to a size, broken ones left out, duplicates dropped, groups kept on one side."""

from __future__ import annotations

import dataclasses

from bench.core.errors import UnknownNameError, UsageError

FITS = ("crop", "pad")
"""How images come to another shape: scaled until they cover it and cut, or until they lie within it, black around."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReadingOptions:
    """How images of one's own are read.

    Attributes:
        image_size: Height and width that all are brought to; None for as they are.
        fit: How they are brought to it, one of `FITS`.
        skip_broken: Whether pictures that cannot be read are left out, counted and said.
        drop_duplicates: Whether of equal images only one is kept: that of the test set, where it has one.
        group_by: A column of a table, or "folder" for the folder below that of the class: images that share it stay on
            one side of every split; None for images that have nothing to do with each other.

    Raises:
        UsageError: A number is out of range.
        UnknownNameError: There is no such fit.
    """

    image_size: tuple[int, int] | None = None
    fit: str = "crop"
    skip_broken: bool = False
    drop_duplicates: bool = False
    group_by: str | None = None

    def __post_init__(self) -> None:
        if self.image_size is not None and not all(1 <= side <= 4_096 for side in self.image_size):
            size = "x".join(map(str, self.image_size))
            raise UsageError(f"--image-size {size}: height and width from 1 to 4,096 are needed, as 32 or 28x40.")
        if self.fit not in FITS:
            raise UnknownNameError("fit", self.fit, FITS)

    @property
    def flags(self) -> dict[str, str]:
        """What a user types for what is not as usual: each flag and its value, empty where it takes none."""
        flags = {}
        if self.image_size is not None:
            fit = "" if self.fit == FITS[0] else f":{self.fit}"
            flags["--image-size"] = "x".join(map(str, self.image_size)) + fit
        switches = {"--skip-broken": self.skip_broken, "--drop-duplicates": self.drop_duplicates}
        flags |= {flag: "" for flag, is_set in switches.items() if is_set}
        if self.group_by is not None:
            flags["--group-by"] = self.group_by
        return flags

    def rename(self, name: str) -> str:
        """What a dataset of that name is called at the size asked for, if any: `pets-32x32`, `pets-32x32-pad`."""
        if self.image_size is None:
            return name
        height, width = self.image_size
        return f"{name}-{height}x{width}" + ("" if self.fit == FITS[0] else f"-{self.fit}")

    @classmethod
    def parse_size(cls, text: str) -> tuple[tuple[int, int], str]:
        """Height and width, and how images come to it: of `32`, `28x40` or `32:pad`.

        Raises:
            UsageError: It is no size.
        """
        size, _, fit = text.partition(":")
        sides = size.lower().replace("×", "x").split("x")
        if len(sides) > 2 or not all(side.isascii() and side.isdigit() and len(side) < 6 for side in sides):
            raise UsageError(f"--image-size '{text}': a height and a width are needed, as 32, 28x40 or 32:pad.")
        return (int(sides[0]), int(sides[-1])), fit or FITS[0]
