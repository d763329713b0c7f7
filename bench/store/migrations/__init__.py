"""Alembic's environment: how every schema that was ever published becomes the present one."""
