"""Images of one's own: a folder of pictures, arrays, a table, IDX files or a Python file become a dataset."""
