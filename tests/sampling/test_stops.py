"""utils.sampling.stops: found wherever tokens end, and no more text held back than must be."""

from __future__ import annotations

import pytest

from tests.sampling.scripted import CORPUS, written
from utils.runtime import generator
from utils.sampling.generation import Piece
from utils.sampling.stops import StopScanner

pytestmark = pytest.mark.usefixtures("one_thread")


def test_stop_strings_are_found_across_token_borders(tokenizer):
    rng = generator(0)
    checked = 0
    for _ in range(150):
        start = int(rng.integers(0, 80))
        text = CORPUS[start : start + int(rng.integers(20, 70))]
        stops = []
        for _ in range(int(rng.integers(1, 4))):
            at = int(rng.integers(0, len(text) - 1))
            stops.append(text[at : at + int(rng.integers(1, 9))])
        stops.append("never written")
        g, pieces = written(tokenizer, text, stops)
        # Of several, the one that ends first; of two that end together, the longer.
        _, first = min((text.find(s) + len(s), text.find(s)) for s in stops if s in text)
        assert g.text == text[:first]
        assert g.finish_reason == "stop"
        assert g.stop in stops
        assert text.startswith(g.stop, first)
        assert "".join(p.text for p in pieces) == g.text
        assert [p.token for p in pieces if p.token >= 0] == g.ids
        checked += 1
        g, pieces = written(tokenizer, text, ["never written", text[-3:] + "?"])
        assert g.text == text
        assert g.finish_reason == "length"
        assert "".join(p.text for p in pieces) == text
    assert checked == 150


def test_a_stream_holds_back_no_more_than_it_must(tokenizer):
    _, pieces = written(tokenizer, "the cat sat on the mat and", ["on the rug"])
    shown = ""
    for piece in pieces[:-1]:
        shown += piece.text
        assert "on th" not in shown or "on the m" in shown  # it might still have become the rug
    assert shown == "the cat sat on the mat"  # all but the last piece
    _, pieces = written(tokenizer, "the cat sat", [])
    assert all(p.text for p in pieces)  # nothing to wait for
    assert isinstance(pieces[0], Piece)


def test_a_character_made_of_several_tokens_is_shown_whole(tokenizer):
    ids = (
        tokenizer.encode("x").ids
        + [tokenizer.token_to_id(c) for c in "ðŁĺİ"]
        + tokenizer.encode("y").ids
    )
    scanner = StopScanner(tokenizer, [], ["z"])
    assert [scanner.push(i) for i in ids] == ["x", "", "", "", "😎", "y"]
    scanner = StopScanner(tokenizer, [], [])
    assert [scanner.push(i) for i in ids[:3]] == ["x", "", ""]
    assert scanner.finish() == "\N{REPLACEMENT CHARACTER}"  # cut off in the middle


def test_a_stop_string_cannot_match_half_a_character(tokenizer):
    """Half a character shows as U+FFFD, for good if its other half never comes."""
    for stop in ("\N{REPLACEMENT CHARACTER}", ["a", "x\N{REPLACEMENT CHARACTER}"], "\ud83d"):
        with pytest.raises(ValueError, match=r"^stop must be [^\n]* half a character"):
            StopScanner(tokenizer, [], stop)


def test_the_longer_of_two_stop_strings_that_begin_together_is_named(tokenizer):
    g, _ = written(tokenizer, "the cat sat", [" c", " cat"])
    assert (g.text, g.stop in (" c", " cat")) == ("the", True)


def test_what_a_stop_string_finds_does_not_depend_on_borders(tokenizer):
    rng = generator(0)
    for text, stops in (
        ("there it was", ["there", "he"]),
        ("abcd", ["bcd", "cd", "abcd"]),
        ("aab", "ab"),
    ):
        pieces = [tokenizer.encode(c).ids for c in text], [tokenizer.encode(text).ids]
        for _ in range(10):  # and some random splits
            cut = sorted(rng.choice(range(1, len(text)), 2, replace=False))
            parts = (text[: cut[0]], text[cut[0] : cut[1]], text[cut[1] :])
            pieces += ([tokenizer.encode(part).ids for part in parts],)
        seen = set()
        for split in pieces:
            scanner, released = StopScanner(tokenizer, [], stops), ""
            for token in (i for part in split for i in part):
                released += scanner.push(token)
                if scanner.found:
                    break
            assert released == scanner.text
            seen.add((scanner.text, scanner.found))
        assert len(seen) == 1, seen
