// The settings of the attention explorer (null: as it starts).
import { CASES, MODELS, RANGES, USUAL } from "course:widgets/attention_explorer/settings";
import { clamp } from "../shared/numbers.mjs";

export const linkable = ["model", "text", "words", "layer", "place", "removed", "compare"];

/** The names of the texts of a model. `get("course")`: what is recorded of the course model. */
export const textsOf = (model, get) =>
  model === "copy" ? CASES : get("course").prompts.map(({ key }) => key);

/** How many layers a model has, and how many places a text of it. */
function sizesOf(model, text, get) {
  if (model === "copy") return { layers: 2, places: get("copy").sentences[0][text].length };
  const { layers, prompts } = get("course");
  return { layers, places: prompts.find(({ key }) => key === text).tokens.length };
}

function wholeNumber(asked, usual, [low, high]) {
  const isNumber = typeof asked === "number" && Number.isFinite(asked);
  return isNumber ? clamp(Math.round(asked), [low, high]) : usual;
}

/**
 * Every setting, valid whatever the reader or the address asked for. Places count from 1; `removed`
 * is 0 where every word stands, and a word that is removed cannot be the one that looks.
 */
export function settings(get) {
  const model = Object.hasOwn(MODELS, get("model")) ? get("model") : USUAL.model;
  const texts = textsOf(model, get);
  const text = texts.includes(get("text")) ? get("text") : texts[0];
  const { layers, places } = sizesOf(model, text, get);
  const removed = wholeNumber(get("removed"), USUAL.removed, [0, places]);
  const last = removed === places ? places - 1 : places;
  const place = wholeNumber(get("place"), last, [1, places]);
  return {
    model,
    text,
    words: wholeNumber(get("words"), USUAL.words, RANGES.words),
    layer: wholeNumber(get("layer"), MODELS[model], [1, layers]),
    place: place === removed ? last : place,
    removed,
    compare: get("compare") === true,
  };
}
