// The one setting of the title page's bars (null: as it starts).
import { TEMPERATURES } from "course:widgets/temperature_bars/settings";
import { positions } from "../shared/controls.mjs";
import { clamp } from "../shared/numbers.mjs";

export const USUAL = { temperature: 1 };
export const linkable = ["temperature"];
const RANGE = [TEMPERATURES[0], TEMPERATURES.at(-1)];

/** The setting, valid whatever the reader or the address asked for. */
export function settings(get) {
  const asked = get("temperature");
  const isNumber = typeof asked === "number" && Number.isFinite(asked);
  return { temperature: isNumber ? clamp(asked, RANGE) : USUAL.temperature };
}

/** The positions of the slider: its round values and the present one. */
export const stops = (temperature) => positions(TEMPERATURES, temperature);
