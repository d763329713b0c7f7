"""From pictures that people give to the pixels that nets of a dataset take."""
