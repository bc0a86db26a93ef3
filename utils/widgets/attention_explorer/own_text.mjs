// The part of the attention explorer that reads the reader's own text with the course's model.
import { RANGES } from "course:widgets/attention_explorer/settings";
import { h } from "../shared/dom.mjs";
import { modelLoader } from "../sampling_explorer/loading.mjs";
import { readLive } from "./readings.mjs";
import { OWN_WORDS } from "./words.mjs";

const FEWEST_TOKENS = 2; // one can be removed

/** The text of every token; of one that is no whole character, its number. */
function vocabulary(tokenizer) {
  return Array.from({ length: tokenizer.size }, (_, id) => {
    const text = tokenizer.decode([id], true);
    return text === "" || text.includes("\ufffd") ? `#${id}` : text;
  });
}

/**
 * The panel. `live`: `{src, sizes}` of the model's scripts. `onRead(prompt)`: a text has been read,
 * as it stands and without each of its tokens. Returns the panel's `node` and `dispose`.
 */
export function ownTextPanel({ live, uid, onRead }) {
  let model = null; // once it is loaded
  let texts = [];
  let turn = 0; // of reading; the last one counts

  const status = h("p", { class: "cw-status", role: "status" });
  const field = h("input", { type: "text", id: `${uid}-own`, spellcheck: "false" });
  field.value = OWN_WORDS.first;
  const loader = modelLoader({
    live,
    status,
    onLoaded(loaded) {
      model = loaded;
      texts = vocabulary(model.tokenizer);
      form.hidden = false;
      field.focus();
    },
  });

  async function read() {
    const own = ++turn;
    const ids = model.tokenizer.encode(field.value);
    const allowed = [FEWEST_TOKENS, RANGES.place[1]];
    if (ids.length < allowed[0] || ids.length > allowed[1]) {
      status.textContent = OWN_WORDS.refused(ids.length, allowed);
      return;
    }
    const readings = [];
    for (let removed = 0; removed <= ids.length; removed++) {
      status.textContent = OWN_WORDS.reading;
      readings.push(readLive(model.gpt, texts, ids, removed));
      await new Promise((resolve) => setTimeout(resolve)); // the page may answer in between
      if (own !== turn) return;
    }
    const tokens = ids.map((id) => texts[id]);
    onRead({ key: "own", prompt: field.value, tokens, live: readings });
    status.textContent = OWN_WORDS.read(ids.length);
  }

  const form = h(
    "form",
    { class: "cw-own-text", hidden: true },
    h("label", { for: field.id }, OWN_WORDS.label),
    field,
    h("button", { type: "submit", class: "cw-button" }, OWN_WORDS.submit),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    read();
  });
  const titleId = `${uid}-own-title`;
  const node = h(
    "div",
    { class: "cw-live", role: "group", "aria-labelledby": titleId },
    h("p", { class: "cw-title", id: titleId }, OWN_WORDS.title),
    loader,
    form,
    status,
  );
  return {
    node,
    dispose() {
      turn++;
    },
  };
}
