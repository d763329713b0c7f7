"""The command line: flags, read into options."""
