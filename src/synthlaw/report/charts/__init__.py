"""Kinds of charts, one module each by the module's name; see report/chart_kinds.py."""
