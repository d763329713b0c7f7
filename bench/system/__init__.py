"""This machine: environment and devices, processes, files, text."""
