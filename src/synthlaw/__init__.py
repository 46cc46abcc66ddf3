"""Measure, before you pay for it, what synthetic data will do to your pre-training run."""

__version__ = "0.1.0"
