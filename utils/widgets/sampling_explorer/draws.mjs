// Drawing tokens from the distribution: the seed, how many draws, and what came out.
import { RANGES, USUAL } from "course:sampling/settings";
import { button, numberField } from "../shared/controls.mjs";
import { h } from "../shared/dom.mjs";
import { tr } from "../shared/language.mjs";
import { whole } from "../shared/numbers.mjs";
import { cumulate, draw, uniform } from "./decoding.mjs";
import { aloud, percent, visible } from "./words.mjs";

/**
 * The row of controls `node` and the sentence `result`. `show(s, probs)` draws as often as the
 * settings say and returns `counts`, how often each id came (null for no more than one draw),
 * `latest`, the last one's id (-1 for none), and `said`, the same for a screen reader. `now()`: the
 * present settings; `textOf(id)`: a token's text.
 */
export function drawsView({ uid, now, change, textOf }) {
  const [, most] = RANGES.draws;
  const [lowestSeed, highestSeed] = RANGES.seed;
  const seed = numberField({
    id: `${uid}-seed`,
    min: lowestSeed,
    max: highestSeed,
    step: 1,
    usual: USUAL.seed,
    onChange: (value) => change({ seed: value }),
  });
  const more = (count) => change({ draws: Math.min(most, now().draws + count) });
  const one = button(tr("Draw"), () => more(1));
  const many = button(tr("Draw 100"), () => more(100));
  const clear = button(tr("Clear"), () => {
    change({ draws: 0 });
    one.focus(); // this button is about to be disabled, and the keyboard with it
  });
  const result = h("p", { class: "cw-result" });
  const label = h("label", { for: seed.field.id }, tr("Seed"));
  const node = h("div", { class: "cw-draw" }, label, seed.field, one, many, clear);

  let seedShown; // as a reader may be typing, the field changes only when the setting does

  function showControls(s) {
    if (seedShown !== s.seed) {
      seedShown = s.seed;
      seed.field.value = s.seed;
    }
    const full = s.draws >= most;
    clear.disabled = s.draws === 0;
    if (full && (one.matches(":focus") || many.matches(":focus"))) clear.focus(); // else it is lost
    one.disabled = full;
    many.disabled = full;
  }

  function show(s, probs) {
    showControls(s);
    if (s.draws === 0) {
      result.textContent = tr(
        "A draw takes the token whose interval of the running sum of probabilities holds u.",
      );
      return { counts: null, latest: -1, said: "" };
    }
    // Draw n uses the same number u whatever the sliders say, so that only the distribution
    // differs.
    const sums = cumulate(probs);
    const counts = new Map();
    let latest;
    for (let n = 1; n <= s.draws; n++) {
      latest = draw(sums, uniform(s.seed, n));
      counts.set(latest, (counts.get(latest) ?? 0) + 1);
    }
    const n = whole(s.draws);
    const different = counts.size > 1
      ? tr("{count} different tokens", { count: whole(counts.size) })
      : tr("1 different token");
    const summary = tr("{n} draws gave {different}; the marks show how often.", { n, different });
    result.replaceChildren(
      tr("Draw {n}: u = {u} gives ", { n, u: uniform(s.seed, s.draws).toFixed(4) }),
      h("b", { lang: "en" }, visible(textOf(latest))),
      ` (${percent(probs[latest])}).`,
      s.draws > 1 ? ` ${summary}` : "",
    );
    const token = aloud(textOf(latest));
    const chance = percent(probs[latest]);
    const said = tr("Draw {n} gives {token}, probability {chance}.", { n, token, chance });
    return { counts: s.draws > 1 ? counts : null, latest, said };
  }
  return { node, result, show };
}
