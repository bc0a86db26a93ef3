"""Nothing that an explorer shows is out of a translator's reach.

The explorers run in a language in which every known word stands in brackets: whatever a reader then
sees or hears without them has not gone through `tr`, or the German table lacks it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.small_book import widget_book
from tests.widgets.shared.test_every_explorer import EXPLORERS
from utils.book.words import HOLE, words
from utils.models.budget import GPUS
from utils.models.presets import PRESETS
from utils.runtime import repo_root
from utils.sampling.settings import page_data as sampling
from utils.widgets.compute_explorer.settings import page_data as laws

# Holes that are filled with words of a model or of the reader, which nobody translates.
DATA = {"word", "token", "found", "address"}
# Names, units and formulas, which are the same everywhere.
NAMES = [*GPUS, *(preset["label"] for preset in PRESETS.values())]
NAMES += [model["label"] for model in laws()["MODELS"]]
NAMES += [*laws()["LAW_NAMES"].values()]
NAMES += [engine["label"] for engine in sampling()["ENGINES"].values()]
NAMES += ["FLOP", "kWh", "kB", "MB", "GB", "TB", "float16", "fp32", "bf16", "int8"]
NAMES += ["int4", "AdamW", "Adam", "deflate", "max"]
NAMES += ["Daniel Defoe, Moll Flanders", "Kenneth Grahame, The Wind in the Willows"]

# Use every control of each explorer, and collect what it shows and what a screen reader says.
COLLECT = """
async (names) => Promise.all(names.map(async (name) => {
  const root = document.querySelector(`[data-afm=${name}]`);
  const seen = new Set();
  const ATTRIBUTES = ["aria-label", "aria-valuetext", "title", "label", "placeholder"];
  function look() {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const element = node.nodeType === Node.TEXT_NODE ? node.parentElement : node;
      const isText = node.nodeType === Node.TEXT_NODE;
      if (element.closest(".cw-step-text, .cw-correction")) continue; // the page's own words
      if (isText && !element.closest(".cw [lang=en]")) seen.add(node.nodeValue.trim());
      if (isText) continue;
      for (const key of ATTRIBUTES) seen.add(element.getAttribute(key)?.trim() ?? "");
    }
  }
  const drawn = () => new Promise((done) => setTimeout(done));
  async function set(control, value) {
    control.value = value;
    control.dispatchEvent(new Event(control.tagName === "SELECT" ? "change" : "input"));
    await drawn();
    look();
  }
  async function press(control) {
    control.click();
    await drawn();
    look();
  }
  look();
  for (const link of root.querySelectorAll(".cw-steps a")) await press(link);
  for (let round = 0; round < 2; round++) { // some controls come with another's setting
    for (const list of root.querySelectorAll("select")) {
      for (const { value } of [...list.options]) await set(list, value);
    }
    for (const slider of root.querySelectorAll("input[type=range]")) {
      await set(slider, slider.min);
      await set(slider, slider.max);
    }
    const buttons = "button:not(.cw-live *), input[type=checkbox], input[type=radio]";
    for (const button of [...root.querySelectorAll(buttons)].slice(0, 60)) await press(button);
    await new Promise((done) => setTimeout(done, 800)); // what is told once the reader rests
    look();
  }
  return [name, [...seen]];
}))
"""


def pseudo(text: str) -> str:
    """A text with its own words in brackets, and what fills its holes outside of them.

    >>> pseudo("draw {number} of {count}")
    '⟦draw ⟧{number}⟦ of ⟧{count}'
    """
    pieces = re.split(r"(\{\w+\})", text)
    told = []
    for piece in pieces:
        hole = HOLE.fullmatch(piece)
        if hole and hole[1] not in DATA:
            told.append(piece)
        elif piece:
            told.append(f"⟦{piece}⟧")
    return "".join(told)


def untranslated(seen: str) -> list[str]:
    """The words in what was seen that stand in no brackets and are no names."""
    rest = re.sub(r"⟦[^⟦⟧]*⟧", " ", seen)
    for name in sorted(NAMES, key=len, reverse=True):
        rest = rest.replace(name, " ")
    return re.findall(r"[^\W\d_]{3,}", rest)


def page_of_all() -> str:
    directives = []
    for name, facts in EXPLORERS.items():
        steps = [{"text": "A step.", "settings": settings} for settings in facts["steps"]]
        head = f"```{{anywidget}} utils/widgets/{name}/widget.mjs\n:label: The explorer\n"
        directives.append(f"{head}{facts['options']}{json.dumps({'steps': steps})}\n```\n")
    return "# Root\n\n" + "\n\n".join(directives)


@pytest.mark.slow
def test_every_word_of_every_explorer_can_be_translated(tmp_path, visit) -> None:
    site = widget_book(tmp_path, {"index.md": page_of_all()})
    page_file = site / "index.html"
    html = page_file.read_text(encoding="utf-8")
    table = {text: pseudo(text) for text in words("de")}
    empty = "const TRANSLATIONS = {};"
    assert html.count(empty) == len(EXPLORERS)
    told = json.dumps(table, ensure_ascii=False)
    page_file.write_text(html.replace(empty, f"const TRANSLATIONS = {told};"), encoding="utf-8")

    page = visit(page_file.as_uri())
    page.wait_for_function(
        f"document.querySelectorAll('[data-afm-ready]').length === {len(EXPLORERS)}"
    )
    data = recorded_texts()
    missing = {}
    for name, texts in page.evaluate(COLLECT, list(EXPLORERS)):
        assert len(texts) > 10, name
        for seen in texts:
            if not seen or seen in data or seen == "The explorer":
                continue
            found = untranslated(without(data, seen))
            if found:
                missing.setdefault(name, {})[seen] = found
    assert not missing, json.dumps(missing, ensure_ascii=False, indent=1)


def recorded_texts() -> list[str]:
    """The prompts that the explorers offer, the longest first."""
    records = repo_root() / "records"
    texts = []
    for name in ("sampling/explorer.json", "parameters/attention.json"):
        content = json.loads(Path(records, name).read_text(encoding="utf-8"))["data"]
        prompts = content.get("prompts") or content["course"]["prompts"]
        texts += [prompt["prompt"].strip() for prompt in prompts]
    return sorted(texts, key=len, reverse=True)


def without(data: list[str], seen: str) -> str:
    """What was seen, without the recorded text at its beginning."""
    for text in data:
        if seen.startswith(text):
            return seen.removeprefix(text)
    return seen


def test_the_brackets_find_what_was_not_translated() -> None:
    assert untranslated("⟦draw ⟧3⟦ of ⟧12 and more") == ["and", "more"]
    assert untranslated("⟦all ⟧50⟦ others⟧ GPT-3, 12 MB") == []
