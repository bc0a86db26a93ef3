"""Stop strings: find one while tokens come in, wherever the tokens' borders fall."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from utils.validate import encodable, integer, require

# What decoding shows for a character whose last bytes are still to come.
INCOMPLETE = "\N{REPLACEMENT CHARACTER}"
# How many of a prompt's last tokens are decoded along with the text that follows.
N_BEFORE = 8


class StopScanner:
    """Decode tokens as they come, and hold back text that may be the beginning of a stop string.

    A stop string is found wherever the tokens' borders fall: of several, the one that ends first.
    Text released is never taken back. Bytes of a character that is not complete yet are held back
    too. A match counts if it ends after the text of the first ``min_tokens`` tokens. Raises
    ``ValueError`` for a stop string that `stop_strings` refuses.
    """

    def __init__(
        self,
        tokenizer: Any,
        prompt_ids: Sequence[int],
        stop: str | Sequence[str] = (),
        min_tokens: int = 0,
    ) -> None:
        self.tokenizer = tokenizer
        self.stop = stop_strings(stop)
        self.min_tokens = integer("min_tokens", min_tokens, 0)

        # Some tokenizers drop a leading space: so decode behind the prompt's end, and cut it off.
        self.before = list(prompt_ids)[-N_BEFORE:]
        behind = tokenizer.decode(self.before)
        if behind.endswith(INCOMPLETE) and not self._ends_in_the_sign():
            # A character begins in the prompt; the first tokens bring its last bytes.
            behind = behind.rstrip(INCOMPLETE)
        self.skipped = len(behind)

        self.ids: list[int] = []
        self.text = ""  # decoded so far, and cut at the stop string once there is one
        self.released = 0  # how many of its characters were given out
        self.searched = 0  # in how many of them no stop string ends
        self.found: str | None = None

    def push(self, token: int) -> str:
        """Take one token; return the text that it releases. ``found`` names the stop string met."""
        self.ids.append(token)
        self.text = self._decoded().rstrip(INCOMPLETE)
        if len(self.ids) > self.min_tokens:
            match = self._first_match()
            if match is not None:
                start, self.found = match
                self.text = self.text[:start]
                return self._release(start)
        self.searched = len(self.text)
        return self._release(len(self.text) - self._n_held_back())

    def finish(self) -> str:
        """No more tokens: return what was held back."""
        if self.found is None:
            self.text = self._decoded()
        return self._release(len(self.text))

    def _first_match(self) -> tuple[int, str] | None:
        """Where the stop string that ends first begins, and which it is; None if there is none.

        Borders between tokens do not matter, as the match that *ends* first wins. Of two that end
        together it is the longer, which begins first.
        """
        matches = []
        for stop in self.stop:
            # A match ends in new text, but may begin before it.
            from_here = max(self.searched - len(stop) + 1, 0)
            start = self.text.find(stop, from_here)
            if start >= 0:
                end = start + len(stop)
                matches.append((end, start, stop))
        if not matches:
            return None
        _, start, stop = min(matches)
        return start, stop

    def _n_held_back(self) -> int:
        """How many characters at the text's end may be the beginning of a stop string."""
        longest = max((len(stop) for stop in self.stop), default=1)
        most = min(longest - 1, len(self.text))
        for n in range(most, 0, -1):
            tail = self.text[-n:]
            if any(stop.startswith(tail) for stop in self.stop):
                return n
        return 0

    def _ends_in_the_sign(self) -> bool:
        """Whether the prompt ends in a replacement character of its own, not within a character."""
        encoded = self.tokenizer.encode(INCOMPLETE)
        sign = list(getattr(encoded, "ids", encoded))
        return self.before[-len(sign) :] == sign

    def _decoded(self) -> str:
        """The text of all tokens so far."""
        return self.tokenizer.decode(self.before + self.ids)[self.skipped :]

    def _release(self, end: int) -> str:
        """The text up to ``end`` that was not given out yet."""
        new = self.text[self.released : end]
        self.released = max(self.released, end)
        return new


def stop_strings(stop: str | Sequence[str]) -> tuple[str, ...]:
    """``stop`` as a tuple; one string is one stop string.

    Raises ``ValueError`` for anything but a string, or a list, tuple or set of strings; for an
    empty one; and for one that holds half a character: a lone surrogate, or U+FFFD, which decoding
    shows for bytes that are no whole character, so that it would be found within one.
    """
    listed = (stop,) if isinstance(stop, str) else stop
    require(isinstance(listed, (list, tuple, set)), "stop", "a string or a list of strings", stop)
    for each in listed:
        is_text = isinstance(each, str) and each != ""
        require(is_text, "stop", "made of non-empty strings", each)
        encodable("stop", each)
        is_whole = INCOMPLETE not in each
        require(is_whole, "stop", "free of U+FFFD, which stands for half a character", each)
    return tuple(listed)
