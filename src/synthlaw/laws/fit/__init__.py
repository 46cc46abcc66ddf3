"""Fits: the solver, uncertainty, diagnostics and validation."""
