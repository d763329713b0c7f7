"""The gate: whether a change made an architecture worse than its recorded references, with known error rates."""
