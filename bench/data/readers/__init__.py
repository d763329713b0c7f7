"""One reader a format: what it finds, as whole verified arrays."""
