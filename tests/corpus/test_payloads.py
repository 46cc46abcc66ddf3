"""Payloads as servers send and crawlers keep them, and pages that no parser should be given."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import time
import zlib

import brotli
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from synthlaw.common.payload import PayloadError, decoded, unchunked
from synthlaw.corpus.readers.html import check_bounds, extractor

LIMIT = 1 << 20
PAGE = (
    "<html><body><p>The old bridge was built of stone; Grüße aus Köln.</p></body></html>" * 9
).encode()


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACK = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "deflate": zlib.compress,
    "raw deflate": raw_deflate,
    "identity": bytes,
}


def label(names: tuple[str, ...]) -> str:
    return ", ".join(name.removeprefix("raw ") for name in names)


STACKS = [*itertools.product(PACK, repeat=1), *itertools.product(PACK, repeat=2)]


@pytest.mark.parametrize("names", STACKS, ids=label)
def test_encodings_are_undone_in_any_order_and_number(names: tuple[str, ...]) -> None:
    body = PAGE
    for name in names:
        body = PACK[name](body)
    assert decoded(body, {"content-encoding": label(names)}, LIMIT) == PAGE
    assert decoded(body, {"content-encoding": label(names).upper() + ";q=1"}, LIMIT) == PAGE
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    http = {"transfer-encoding": label(names) + ", chunked"}
    assert decoded(chunks, http, LIMIT) == PAGE
    # The headers are as they were and the payload is decoded already.
    assert decoded(PAGE, {"content-encoding": label(names), **http}, LIMIT) == PAGE


@pytest.mark.parametrize("said", ["gzip", "br", "deflate", "zstd", "x-gzip, br", "nonsense", "*/*"])
def test_a_label_on_plain_text_is_false_in_any_charset(said: str) -> None:
    for page in (PAGE, PAGE.decode().encode("latin-1"), PAGE.decode().encode("utf-16"), b"", b"x"):
        assert decoded(page, {"content-encoding": said}, LIMIT) == page


def test_a_gzip_payload_without_a_label_is_unpacked() -> None:
    assert decoded(gzip.compress(PAGE), {}, LIMIT) == PAGE


@pytest.mark.parametrize("name", ["gzip", "br", "zstd", "deflate", "raw deflate"])
def test_a_bomb_is_refused(name: str) -> None:
    bomb = PACK[name](bytes(50 * LIMIT))
    with pytest.raises(PayloadError, match=f"more than {LIMIT} bytes"):
        decoded(bomb, {"content-encoding": label((name,))}, LIMIT)


def test_a_payload_packed_again_and_again_is_refused() -> None:
    body = PAGE
    for _ in range(20):
        body = gzip.compress(body)
    with pytest.raises(PayloadError, match="more than 6 times"):
        decoded(body, {}, LIMIT)


def test_a_cut_payload_gives_what_it_holds() -> None:
    page = b"".join(b"<p>%d</p>" % n for n in range(60_000))
    for name in ("gzip", "zstd", "br"):
        found = decoded(PACK[name](page)[:-50], {"content-encoding": name}, LIMIT)
        assert found and page.startswith(found)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b'5;a=b;c="d"\r\nhello\r\n1 \r\n!\r\n0\r\n\r\n', b"hello!"),
        (b"5;" + b"x" * 200 + b"\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"5\nhello\n1\n!\n0\n\n", b"hello!"),
        (b"00000005\r\nhello\r\n0\r\nTrailer: x\r\n\r\n", b"hello"),
        (b"5\r\nhello\r\n", b"hello"),
        (b"5\r\nhel", b"hel"),
        (b"5\r\nhello\r\nzz\r\nmore", b"hello"),
        (b"5\r\nhello\r\n-6\r\nmore", b"hello"),
        (b"5\r\nhello\r\n\r\n", b"hello"),
        (b"0\r\n\r\n", b""),
        (b"fffffff\r\nhello", b"hello"),
        *(
            (text, text)
            for text in (b"-6\r\nhello", b"+5\r\nhello", b"0x5\r\nhello", b"_5\r\nhello")
        ),
        *(
            (text, text)
            for text in (b"", b"\r\nhello", b"<p>hello", b"5_0\r\nhello", b"ffffffffff\r\nx")
        ),
        *((text, text) for text in (b"add\r\nfruit to it" * 999, "\u0665\r\nhello".encode())),
    ],
)
def test_chunks_are_put_together_and_malformed_sizes_end_them(body: bytes, expected: bytes) -> None:
    assert unchunked(body) == expected


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_end(body: bytes) -> None:
    unchunked(body)
    http = {"transfer-encoding": "chunked", "content-encoding": "br, deflate, gzip, zstd"}
    with contextlib.suppress(PayloadError):
        assert len(decoded(body, http, LIMIT)) <= LIMIT


COSTLY = {
    "blocks": ("<div>" * 30_000, "512 levels"),
    "closed blocks": ("<div>" * 30_000 + "</div>" * 30_000, "512 levels"),
    "other blocks": ("<ARTICLE\nclass=x>" * 30_000, "512 levels"),
    "ends in attributes": ('<div a="</div>">' * 30_000, "512 levels"),
    "ends in comments": ("<!--</div>--><div>" * 30_000, "512 levels"),
    "ends in scripts": ("<script>'</div>'</script><div>" * 30_000, "512 levels"),
    "attributes": ("<p " + " ".join(f"a{n}" for n in range(60_000)) + ">", "attributes"),
    "attributes with signs": (
        "<p " + " ".join(f'a{n}=">"' for n in range(60_000)) + ">",
        "attributes",
    ),
    "attributes of bodies": ("".join(f"<body a{n}=1>" for n in range(30_000)), "attributes"),
    "options": ("<select>" + "<option>x</option>" * 30_000, "options"),
    "formats": ("".join(f"<font a={n}>x" for n in range(30_000)), "formatting"),
    "crossed formats": ("<a><b><i><u>x</a></b>" * 30_000, "formatting|steps"),
    "leaves": ("<div>" * 500 + "<i>x</i>" * 60_000, "steps"),
}


@pytest.mark.parametrize("name", COSTLY)
def test_a_page_of_quadratic_cost_is_refused(name: str) -> None:
    page, said = COSTLY[name]
    with pytest.raises(PayloadError, match=said):
        extractor("resiliparse")(f"<html><body>{page}<p>text</p></body></html>")


HARMLESS = {
    "unclosed paragraphs": "<p>word " * 30_000,
    "unclosed items": "<ul>" + "<li>word " * 30_000,
    "cells": "<table>" + "<tr><td>word</td></tr>" * 30_000 + "</table>",
    "siblings": "<div>word</div>" * 30_000,
    "script with markup": "<script>" + "x('<div>');" * 30_000 + "</script><p>word</p>",
    "no end": "<a " * 300_000,
    "quotes": "<a b='" * 200_000,
    "comments": "<!--" * 200_000,
    "raw": "<script>" * 100_000,
    "lines": "word\n" * 200_000,
}


@pytest.mark.parametrize("name", HARMLESS)
def test_a_large_page_that_people_write_passes(name: str) -> None:
    started = time.process_time()
    check_bounds(HARMLESS[name])
    # The worst of them takes 0.1 s; a square would take minutes.
    assert time.process_time() - started < 20
