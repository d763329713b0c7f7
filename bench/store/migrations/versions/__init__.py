"""One file a schema version; a published one is never edited."""
