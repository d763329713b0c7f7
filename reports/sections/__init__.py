"""The sections of a report, each from records to a `Section`."""
