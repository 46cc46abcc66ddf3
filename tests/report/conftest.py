"""Fixtures of the report's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from synthlaw.report import chart_kinds


@pytest.fixture(scope="module")
def no_figure_files() -> Iterator[None]:
    """Reports without figures beside the page: drawing them takes most of a report's time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chart_kinds, "write_charts", lambda charts, folder: [])
        yield


@pytest.fixture
def no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for one test."""
    monkeypatch.setattr(chart_kinds, "write_charts", lambda charts, folder: [])
