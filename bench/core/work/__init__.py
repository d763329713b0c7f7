"""The nouns of one kind of work each."""
