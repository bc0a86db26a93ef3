// The course's model, loaded into the reader's own page on a click.
import { bytesOf } from "../shared/base64.mjs";
import { button } from "../shared/controls.mjs";
import { h } from "../shared/dom.mjs";
import { Tokenizer } from "./bpe.mjs";
import { LiveGPT, readSafetensors } from "./live_gpt.mjs";
import { WORDS_OF_LOADING } from "./words.mjs";

/**
 * The piece of the model in the classic script at `src`: the one way in that also works from
 * `file://`.
 */
async function loadPiece(src, parent) {
  const script = h("script", { src });
  const ended = new Promise((resolve) => {
    script.addEventListener("load", () => resolve(true));
    script.addEventListener("error", () => resolve(false));
  });
  parent.append(script);
  const arrived = await ended;
  script.remove();
  if (!arrived) throw new Error(WORDS_OF_LOADING.missing(src));
  const piece = script.modelPart; // the script hangs its data on its own element
  if (piece === undefined) throw new Error(WORDS_OF_LOADING.incomplete(src));
  return piece;
}

/**
 * The model and tokenizer in the scripts `src`-1.js, `src`-2.js and so on, whose `sizes` in bytes
 * are known. They come one after the other, so that `onProgress(bytes)` rises evenly.
 */
async function loadModel({ src, sizes }, parent, onProgress) {
  const pieces = [];
  let arrived = 0; // bytes
  for (const [i, size] of sizes.entries()) {
    onProgress(arrived);
    pieces.push(await loadPiece(`${src}-${i + 1}.js`, parent));
    arrived += size;
  }
  const { weights, tokenizer } = JSON.parse(pieces.join(""));
  const { metadata, tensors } = readSafetensors(bytesOf(weights).buffer);
  const config = JSON.parse(metadata.config);
  return {
    gpt: new LiveGPT(config, tensors),
    tokenizer: new Tokenizer(tokenizer),
    eos: config.eos_token_id,
  };
}

/**
 * A button that loads the model, and how far that has come. `live`: `{src, sizes}` of the model's
 * scripts; `status`: the element that says how it goes; `onLoaded({gpt, tokenizer, eos})`.
 */
export function modelLoader({ live, status, onLoaded }) {
  const size = live.sizes.reduce((sum, bytes) => sum + bytes, 0);
  const bar = h("progress", { max: size, "aria-label": WORDS_OF_LOADING.begun });
  const amount = h("span");
  const progress = h("p", { class: "cw-progress", hidden: true }, bar, amount);

  function showProgress(bytes) {
    bar.value = bytes;
    amount.textContent = WORDS_OF_LOADING.progress(bytes, size);
  }

  const load = button(WORDS_OF_LOADING.offer(size), async () => {
    load.disabled = true;
    progress.hidden = false;
    status.textContent = WORDS_OF_LOADING.begun;
    let model;
    try {
      model = await loadModel(live, node, showProgress);
    } catch (error) {
      status.textContent = WORDS_OF_LOADING.failed(error.message);
      progress.hidden = true;
      load.disabled = false;
      load.focus(); // which a disabled button had lost
      return;
    }
    node.hidden = true;
    status.textContent = WORDS_OF_LOADING.loaded;
    onLoaded(model);
  });
  const node = h("div", {}, load, progress);
  return node;
}
