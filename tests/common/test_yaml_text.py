"""YAML 1.2's scalars, and limits on what a file may stand for."""

from __future__ import annotations

import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from synthlaw.common.errors import UsageError
from synthlaw.common.yaml_text import DEEPEST, read_yaml


def value(text: str) -> object:
    return read_yaml(text, "file.yaml")[0]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("off", "off"),
        ("on", "on"),
        ("yes", "yes"),
        ("No", "No"),
        ("n", "n"),
        ("true", True),
        ("FALSE", False),
        ("4:00:00", "4:00:00"),
        ("2026-11-26", "2026-11-26"),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("3e-4", 3e-4),
        ("1e9", 1e9),
        ("-.5", -0.5),
        ("1.", 1.0),
        ("7B", "7B"),
        ("~", None),
        ("", None),
        ('"off"', "off"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_a_scalar_is_what_people_mean(written: str, meant: object) -> None:
    found = value(f"key: {written}")
    assert found == {"key": meant} and type(found["key"]) is type(meant)


def test_names_may_look_like_booleans() -> None:
    assert value("no: 1\non: 2") == {"no": 1, "on": 2}


def test_anchors_and_merges_work() -> None:
    text = "base: &b {a: 1, c: 2}\nmade:\n  <<: *b\n  c: 3"
    assert value(text)["made"] == {"a": 1, "c": 3}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3", "line 3: the key 'a' is given twice, first in line 1"),
        ("a: [1", "not YAML"),
        ("a: !!python/object:os.system x", "not YAML"),
        ("[" * (DEEPEST + 5) + "]" * (DEEPEST + 5), f"nested more than {DEEPEST} deep"),
        ("[" * 5000 + "]" * 5000, "nested"),
        ("a: &a [*a]", "holds itself"),
        ("a\x00b", "not YAML"),
        ("? [a, b]\n: c\n? {d: e}\n: f", "not YAML"),
    ],
)
def test_what_cannot_be_read_is_one_line(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=r"file\.yaml") as caught:
        read_yaml(text, "file.yaml")
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_aliases_that_stand_for_billions_are_refused_at_once() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    with pytest.raises(UsageError, match="aliases written out"):
        value("\n".join(lines))


@given(st.text())
def test_any_text_is_a_value_or_one_error(text: str) -> None:
    try:
        value(text)
    except UsageError:
        return


PLAIN_TEXT = st.text(max_size=8).filter(
    # PyYAML writes the texts 0E0 and 0o7 without quotes; in YAML 1.2 they are numbers.
    lambda text: not re.fullmatch(r"[-+]?(\.\d+|\d+(\.\d*)?)[eE][-+]?\d+|0o[0-7]+", text)
)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**9), 10**9) | PLAIN_TEXT,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PLAIN_TEXT, inner),
        max_leaves=8,
    )
)
def test_what_pyyaml_writes_is_read_back(wanted: object) -> None:
    assert value(yaml.safe_dump(wanted)) == wanted
