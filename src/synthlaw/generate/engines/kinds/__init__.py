"""Kinds of engines, one module each by the module's name: `make(settings, log)` gives an engine."""
