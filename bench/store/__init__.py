"""Where runs, studies and timings are kept: a database and its migrations."""
