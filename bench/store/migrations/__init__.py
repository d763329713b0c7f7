"""Brings the tables of a database to the present schema; one file a step, in `versions`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from bench.core.errors import StoreError

if TYPE_CHECKING:
    from sqlalchemy import Connection


def migrations() -> Config:
    """Alembic's settings: the migrations of this package."""
    config = Config()
    config.set_main_option("script_location", "bench.store:migrations")
    return config


def migrate(connection: Connection, *, place: str, version: str | None) -> None:
    """Create the tables or bring older ones up, within the transaction that is open.

    Args:
        connection: The database, with an open transaction that no other process can share.
        place: What to call the store in a message.
        version: Revision that it has; None when it has none of our tables.

    Raises:
        StoreError: This version of the suite does not know the revision.
    """
    config = migrations()
    known = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    if version is not None and version not in known:
        raise StoreError(
            f"Store {place} has schema '{version}', written by a newer version (this one knows up to '{known[0]}'); "
            "update this program or choose another directory with --results."
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
