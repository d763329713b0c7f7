"""Workers of a Dask scheduler, which may be on other hosts."""
