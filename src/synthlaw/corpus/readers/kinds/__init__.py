"""Kinds of input, one module each by the module's name; see readers/registry.py."""
