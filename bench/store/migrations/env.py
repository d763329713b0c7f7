"""Run by Alembic: migrates over the connection, and within the transaction, that `Database` opened."""

from __future__ import annotations

from alembic import context

from bench.store.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,  # SQLite cannot alter most of a table in place
)
with context.begin_transaction():
    context.run_migrations()
