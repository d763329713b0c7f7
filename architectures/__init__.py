"""What is compared: one file per family, each declaring its architectures as data. Files are found, not listed."""
