"""What the doctor finds errors in, a file a family of checks."""
