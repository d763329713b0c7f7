"""What tuning did and gained."""
