"""Settings for all tests."""

from __future__ import annotations

from hypothesis import settings

# Test machines are shared: an example that is slow once is no finding.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")
