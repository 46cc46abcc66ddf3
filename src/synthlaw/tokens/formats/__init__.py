"""Formats that a mixture is written in for other trainers, one module each, by its name.

A module has `FILES` (patterns of what it writes, for people) and `Writer(folder, mixture)` with
`add(sources, windows)`, called with consecutive windows in order, and `close()`.
"""
