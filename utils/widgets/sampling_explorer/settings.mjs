// The settings of the sampling explorer (null: as it starts), and the positions of its sliders.
import { ENGINES, RANGES, STOPS, USUAL, WHOLE } from "course:sampling/settings";
import { positions } from "../shared/controls.mjs";
import { clamp } from "../shared/numbers.mjs";

export const linkable = ["prompt", ...Object.keys(USUAL)];

/** Every setting, valid whatever the reader or the address asked for. */
export function settings(get) {
  const s = { engine: Object.hasOwn(ENGINES, get("engine")) ? get("engine") : USUAL.engine };
  for (const [key, range] of Object.entries(RANGES)) {
    const asked = get(key);
    const isNumber = typeof asked === "number" && !Number.isNaN(asked);
    if (!isNumber) s[key] = USUAL[key];
    else s[key] = clamp(WHOLE.includes(key) ? Math.round(asked) : asked, range);
  }
  return s;
}

/** The positions of a slider: its round values and the present one. */
export const stops = (key, s) => positions(STOPS[key], s[key]);
