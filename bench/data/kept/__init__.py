"""What the cache keeps of datasets."""
