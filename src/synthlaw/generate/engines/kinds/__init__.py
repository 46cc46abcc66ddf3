"""Kinds of engines, one module each, by the module's name: `make(options)` gives the engine."""
