"""Executors, one file each: the file's name is the executor's, and `make(settings)` makes it."""
