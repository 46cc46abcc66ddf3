"""Quick JSON takes all that the standard library takes, and gives the same."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthlaw.common.quick_json import from_json, to_json

_TEXT = st.text(st.characters(exclude_categories=[]))  # half surrogate pairs included
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | _TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(_TEXT, inner),
)


@given(_VALUES)
def test_what_is_written_is_read_by_either_as_the_same(value: object) -> None:
    # Compared as text, since NaN equals nothing.
    written = to_json(value).decode()
    assert "\n" not in written
    theirs = json.loads(written)
    assert repr(from_json(written)) == repr(theirs)
    has_nan = "NaN" in json.dumps(value) or "Infinity" in json.dumps(value)
    assert has_nan or theirs == value


@given(_VALUES)
def test_what_the_standard_library_writes_is_read(value: object) -> None:
    for ascii_only in (True, False):
        text = json.dumps(value, ensure_ascii=ascii_only)
        assert repr(from_json(text)) == repr(json.loads(text))


@pytest.mark.parametrize("text", ["", "{", "nope", "[1,]", "[" * 100_000])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises((ValueError, RecursionError)):
        from_json(text)
