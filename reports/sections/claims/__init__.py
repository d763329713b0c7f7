"""Claims that were run again: a table of verdicts, what looking at the test set was worth, and pictures."""
