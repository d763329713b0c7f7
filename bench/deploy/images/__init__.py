"""From what people give, pictures and drawings, to the pixels of a dataset."""
