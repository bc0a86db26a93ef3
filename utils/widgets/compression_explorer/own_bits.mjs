// The part of the compression explorer that reads the reader's own text with the course's model.
import { MOST_TOKENS } from "course:widgets/compression_explorer/settings";
import { h } from "../shared/dom.mjs";
import { modelLoader } from "../sampling_explorer/loading.mjs";
import { deflatedBytes } from "./deflated.mjs";
import { bitsOfToken, learningBits } from "./grams.mjs";
import { OWN_BITS } from "./words.mjs";

const AT_ONCE = 8; // tokens between two looks at the page
const LONGEST = 20_000; // characters that are taken

/** The texts of the token `ids`, with a sign for what is no whole character. */
function pieceTexts(tokenizer, ids) {
  return ids.map((id) => tokenizer.decode([id], true).replaceAll("\ufffd", "·"));
}

/** What is known while the model still reads: the tokens that have their `bits`. */
function beginning(text, bits) {
  const n = bits.length;
  const part = { ...text, model: [...bits], deflate_bytes: null };
  for (const key of ["ids", "tokens", "sizes", "learning", "unigram"]) {
    part[key] = text[key].slice(0, n);
  }
  part.n_bytes = part.sizes.reduce((a, b) => a + b);
  return part;
}

/**
 * The panel. `live`: `{src, sizes}` of the model's scripts; `tenths`: how common each token is;
 * `onRead(text)`: some tokens more have been read. Returns the panel's `node` and `dispose`.
 */
export function ownBitsPanel({ live, uid, tenths, onRead }) {
  let model = null; // once it is loaded
  let turn = 0; // of reading; the last one counts

  const status = h("p", { class: "cw-status", role: "status" });
  const field = h("textarea", {
    id: `${uid}-own`,
    rows: 4,
    maxlength: LONGEST,
    spellcheck: "false",
  });
  field.value = OWN_BITS.first;
  const loader = modelLoader({
    live,
    status,
    onLoaded(loaded) {
      model = loaded;
      form.hidden = false;
      field.focus();
    },
  });

  async function read() {
    const own = ++turn;
    const { gpt, tokenizer, eos } = model;
    const all = tokenizer.encode(field.value);
    const ids = all.slice(0, MOST_TOKENS);
    if (ids.length === 0) {
      status.textContent = OWN_BITS.empty;
      return;
    }
    const sizes = ids.map((id) => tokenizer.bytes(id).length);
    const taken = ids.length === all.length ? field.value : tokenizer.decode(ids);
    const text = {
      key: "own",
      name: OWN_BITS.name,
      text: taken,
      ids,
      tokens: pieceTexts(tokenizer, ids),
      sizes,
      n_bytes: sizes.reduce((a, b) => a + b),
      learning: learningBits(ids, tenths),
      unigram: ids.map((id) => tenths[id] / 10),
      deflate_bytes: await deflatedBytes(taken),
    };
    if (own !== turn) return;

    // Token by token: each costs what the model thought of it before it came.
    const bits = [];
    gpt.reset();
    let logits = gpt.step(eos);
    for (const [i, id] of ids.entries()) {
      bits.push(bitsOfToken(logits, id));
      logits = gpt.step(id);
      if ((i + 1) % AT_ONCE !== 0 && i + 1 < ids.length) continue;
      status.textContent = OWN_BITS.reading(i + 1, ids.length);
      const done = i + 1 === ids.length;
      onRead(done ? { ...text, model: bits } : beginning(text, bits));
      await new Promise((resolve) => setTimeout(resolve)); // the page may answer in between
      if (own !== turn) return;
    }
    status.textContent = OWN_BITS.read(ids.length, all.length);
  }

  const form = h(
    "form",
    { class: "cw-own-text", hidden: true },
    h("label", { for: field.id }, OWN_BITS.label),
    field,
    h("button", { type: "submit", class: "cw-button" }, OWN_BITS.submit),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    read();
  });
  const titleId = `${uid}-own-title`;
  const node = h(
    "div",
    { class: "cw-live", role: "group", "aria-labelledby": titleId },
    h("p", { class: "cw-title", id: titleId }, OWN_BITS.title),
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
