"""The nouns of the suite: no torch, no files, no database."""
