"""Kinds of columns that keep a number as it is, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, TypeDecorator
from sqlalchemy.types import UserDefinedType

from bench.store.sealing import unreadable

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Dialect


class Real(UserDefinedType[float]):
    """A float that stays NaN when it is NaN: SQLite would turn it into NULL, so there it is kept as text."""

    cache_ok = True

    def get_col_spec(self, **_options: object) -> str:
        """The column's type, by the name that SQLite and PostgreSQL share."""
        return "DOUBLE PRECISION"

    def bind_processor(self, dialect: Dialect) -> Callable[[float | None], float | str | None]:
        """Towards the database; NumPy's numbers become Python's."""
        nan: float | str = "NaN" if dialect.name == "sqlite" else math.nan

        def bind(value: float | None) -> float | str | None:
            if value is None:
                return None
            return nan if math.isnan(value) else float(value)

        return bind

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[float | str | None], float | None]:  # noqa: ARG002
        """Back to a float."""

        def read(value: float | str | None) -> float | None:
            with unreadable("a number"):
                return None if value is None else float(value)

        return read


class Whole(TypeDecorator[int]):
    """An integer: SQLite would keep NumPy's as eight raw bytes."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """To Python's own integer."""
        return None if value is None else operator.index(value)
