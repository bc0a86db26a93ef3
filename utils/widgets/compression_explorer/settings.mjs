// The settings of the compression explorer (null: as it starts).
import {
  BITS,
  GRANULARITIES,
  SPARSITIES,
  USUAL,
  VIEWS,
} from "course:widgets/compression_explorer/settings";
import { clamp } from "../shared/numbers.mjs";

export const linkable = ["view", "bits", "sparsity", "granularity", "text", "token"];

const oneOf = (list, asked, usual) => (list.includes(asked) ? asked : usual);

/** The recorded value that is nearest to the one asked for. */
function nearestOf(list, asked, usual) {
  if (typeof asked !== "number" || !Number.isFinite(asked)) return usual;
  return list.reduce((best, value) =>
    Math.abs(value - asked) < Math.abs(best - asked) ? value : best
  );
}

/** Every setting, valid whatever the reader or the address asked for. Tokens count from 1. */
export function settings(get) {
  const texts = get("texts");
  const keys = texts.map(({ key }) => key);
  const text = oneOf(keys, get("text"), oneOf(keys, USUAL.text, keys[0]));
  const last = texts.find(({ key }) => key === text).ids.length;
  const asked = get("token");
  const isNumber = typeof asked === "number" && Number.isFinite(asked);
  return {
    view: oneOf(VIEWS, get("view"), USUAL.view),
    bits: nearestOf(BITS, get("bits"), USUAL.bits),
    sparsity: nearestOf(SPARSITIES, get("sparsity"), USUAL.sparsity),
    granularity: oneOf(GRANULARITIES, get("granularity"), USUAL.granularity),
    text,
    token: isNumber ? clamp(Math.round(asked), [1, last]) : last,
  };
}
