"""The database of a store as such: connected to, locked, copied, and what its faults mean; SQLite or PostgreSQL."""
