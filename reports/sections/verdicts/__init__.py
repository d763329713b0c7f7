"""What is better: every pair of a table, and nets over several datasets."""
