"""Stop strings: find one while tokens come in, wherever the tokens' borders fall."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from utils.validate import integer, require

INCOMPLETE = (
    "\N{REPLACEMENT CHARACTER}"  # what decoding shows for a character whose last bytes are to come
)


class StopScanner:
    """Decode tokens as they come, and hold back text that may be the beginning of a stop string.

    A stop string is found wherever the tokens' borders fall: of several, the one that ends first. Text
    released is never taken back. Bytes of a character that is not complete yet are held back too. A match
    counts if it ends after the text of the first ``min_tokens`` tokens. Raises ``ValueError`` for an empty
    stop string.
    """

    def __init__(
        self,
        tokenizer: Any,
        prompt_ids: Sequence[int],
        stop: str | Sequence[str] = (),
        min_tokens: int = 0,
    ):
        self.tokenizer, self.stop = tokenizer, stop_strings(stop)
        self.min_tokens = integer("min_tokens", min_tokens, 0)
        # Some tokenizers drop a leading space, so decode behind the prompt's end and cut that off again.
        self.before = list(prompt_ids)[-8:]
        behind = tokenizer.decode(self.before)
        if behind.endswith(INCOMPLETE) and not self._ends_in_the_sign():
            behind = behind.rstrip(
                INCOMPLETE
            )  # a character whose last bytes the first tokens bring
        self.skip = len(behind)
        self.ids: list[int] = []
        self.text = ""  # decoded so far, and cut at the stop string once there is one
        self.released, self.searched = 0, 0
        self.found: str | None = None

    def push(self, token: int) -> str:
        """Take one token; return the text that it releases. ``found`` names the stop string, once met."""
        self.ids.append(token)
        self.text = self._decoded().rstrip(INCOMPLETE)
        if len(self.ids) > self.min_tokens:
            starts = [(self.text.find(s, max(self.searched - len(s) + 1, 0)), s) for s in self.stop]
            # The match that ends first, so that borders do not matter; of two that end together, the longer.
            if hits := [(at + len(s), -len(s), at, s) for at, s in starts if at >= 0]:
                _, _, at, self.found = min(hits)
                self.text = self.text[:at]
                return self._release(len(self.text))
        self.searched = len(self.text)
        tails = range(min(max(map(len, self.stop), default=1) - 1, len(self.text)), 0, -1)
        held = (n for n in tails if any(s.startswith(self.text[-n:]) for s in self.stop))
        return self._release(len(self.text) - next(held, 0))

    def finish(self) -> str:
        """No more tokens: return what was held back."""
        if self.found is None:
            self.text = self._decoded()
        return self._release(len(self.text))

    def _ends_in_the_sign(self) -> bool:
        """Whether the prompt ends in a replacement character of its own rather than within a character."""
        sign = self.tokenizer.encode(INCOMPLETE)
        sign = list(getattr(sign, "ids", sign))
        return self.before[-len(sign) :] == sign

    def _decoded(self) -> str:
        return self.tokenizer.decode(self.before + self.ids)[self.skip :]

    def _release(self, end: int) -> str:
        new = self.text[self.released : end]
        self.released = max(self.released, end)
        return new


def stop_strings(stop: str | Sequence[str]) -> tuple[str, ...]:
    """``stop`` as a tuple, checked; one string is one stop string."""
    listed = (stop,) if isinstance(stop, str) else stop
    require(isinstance(listed, (list, tuple, set)), "stop", "a string or a list of strings", stop)
    for s in listed:
        require(isinstance(s, str) and s != "", "stop", "made of non-empty strings", s)
    return tuple(listed)
