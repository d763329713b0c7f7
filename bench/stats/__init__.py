"""What seeds allow to be said: intervals, paired tests, verdicts."""
