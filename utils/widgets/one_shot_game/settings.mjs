// The settings of the one-shot game (null: as it starts), and the positions of its sliders.
import { RANGES, RATE, RATES } from "course:widgets/one_shot_game/settings";
import { positions } from "../shared/controls.mjs";
import { clamp } from "../shared/numbers.mjs";
import { asText, fromText, withBought } from "./rules.mjs";

export const USUAL = {
  hero: 1,
  rate: RATE,
  bought: "",
  forecast: 4,
  spread: 0.2,
  committed: false,
};
export const linkable = Object.keys(USUAL);

/** The number that was asked for, put in range; the usual one where it is none. */
function numeric(key, asked) {
  if (typeof asked !== "number" || !Number.isFinite(asked)) return USUAL[key];
  return clamp(key === "hero" ? Math.round(asked) : asked, RANGES[key]);
}

/** Every setting, valid whatever the reader or the address asked for. */
export function settings(get) {
  const hero = numeric("hero", get("hero"));
  const asked = get("bought");
  const wanted = typeof asked === "string" ? fromText(asked) : [];
  return {
    hero,
    rate: RATES.includes(get("rate")) ? get("rate") : USUAL.rate,
    bought: asText(withBought([], wanted, hero, get("game"))),
    forecast: numeric("forecast", get("forecast")),
    spread: numeric("spread", get("spread")),
    committed: get("committed") === true,
  };
}

/** `low` to `high` in so many equal steps per unit. */
const evenly = ([low, high], perUnit) =>
  Array.from(
    { length: Math.round((high - low) * perUnit) + 1 },
    (_, i) => Number((low + i / perUnit).toFixed(3)),
  );

const FORECASTS = evenly(RANGES.forecast, 100);
const SPREADS = [
  0.005,
  0.01,
  0.015,
  0.02,
  0.03,
  0.04,
  0.05,
  0.07,
  0.1,
  0.15,
  0.2,
  0.3,
  0.5,
  0.7,
  1,
];

/** The positions of a slider: its round values and the present one. */
export const stops = (key, s) => positions(key === "forecast" ? FORECASTS : SPREADS, s[key]);

/** A forecast as the sliders have it: to a hundredth, in range. */
export const asForecast = (loss) => clamp(Number(loss.toFixed(2)), RANGES.forecast);
