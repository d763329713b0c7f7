"""Tables of images: a row each, its label and its pixels in columns; CSV as in digit competitions, and Parquet."""
