"""The report and a playground over HTTP, on this machine unless told otherwise."""
