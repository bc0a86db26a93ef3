// The one-shot game: buy recorded runs, forecast a larger one, commit, and be scored. Its parts and
// Python's tables are joined into one module wherever it is used: utils/widgets/shared/bundle.py
// says why and how.
import { HEROES, LENGTHS, RATES, WIDTHS } from "course:widgets/one_shot_game/settings";
import {
  announcer,
  button,
  changer,
  mount,
  queued,
  select,
  slider,
  uniqueId,
} from "../shared/controls.mjs";
import { h, say } from "../shared/dom.mjs";
import { tr } from "../shared/language.mjs";
import { lossChart } from "./losses.mjs";
import {
  asText,
  designRuns,
  fromText,
  heroRun,
  lossOfRun,
  mayBuy,
  priceOf,
  sameRun,
  withBought,
} from "./rules.mjs";
import { asForecast, linkable, settings, stops, USUAL } from "./settings.mjs";
import {
  cellName,
  resultSentences,
  runName,
  SCORE_NOTE,
  seconds,
  taskSentence,
  tokensShort,
} from "./words.mjs";

export { linkable };
export { settings };

/**
 * The runs for sale at one rate: a row for each width, a column for each length. `onBuy(run)`: the
 * player wants this one.
 */
function board(onBuy) {
  const cells = []; // { width, length, node }
  const heads = LENGTHS.map((tokens) => h("th", { scope: "col" }, tokensShort(tokens)));
  const rows = WIDTHS.map((name, width) => {
    const row = h("tr", {}, h("th", { scope: "row" }, String(name)));
    LENGTHS.forEach((_, length) => {
      const node = h("button", { type: "button", class: "cw-run" });
      node.addEventListener("click", () => onBuy({ width, length }));
      cells.push({ width, length, node });
      row.append(h("td", {}, node));
    });
    return row;
  });
  const node = h(
    "table",
    { class: "cw-board" },
    h(
      "caption",
      {},
      tr("Rows are widths, columns training tokens: the price in CPU seconds, then the loss"),
    ),
    h("thead", {}, h("tr", {}, h("td"), ...heads)),
    h("tbody", {}, ...rows),
  );

  function draw(s, runs, game) {
    const rate = RATES.indexOf(s.rate);
    for (const { width, length, node: cell } of cells) {
      const run = { width, length, rate };
      const bought = runs.some((other) => sameRun(other, run));
      const isHero = sameRun({ ...heroRun(s.hero), rate }, run);
      const loss = lossOfRun(run, game);
      const open = !s.committed && mayBuy(run, runs, s.hero, game);
      say(
        cell,
        isHero ? tr("hero") : bought ? loss.toFixed(2) : `${seconds(priceOf(run, game))} s`,
      );
      cell.className = `cw-run${bought ? ` cw-have cw-width-${width}` : ""}`;
      // Not `disabled`: the keyboard would lose its place with the button that was just pressed.
      cell.setAttribute("aria-disabled", String(!open));
      cell.setAttribute(
        "aria-label",
        bought
          ? tr("{run}: loss {loss}", { run: runName(run), loss: loss.toFixed(3) })
          : cellName(run, game),
      );
    }
  }
  return { node, draw };
}

function render({ model, el }) {
  const uid = uniqueId("cw-game");
  const get = (key) => model.get(key);
  const now = () => settings(get);
  const change = changer(model, USUAL);
  const updates = []; // what puts each control at the present settings

  // ---- Buying

  function buy(wanted) {
    const s = now();
    if (s.committed) return;
    const runs = withBought(fromText(s.bought), wanted, s.hero, get("game"));
    change({ bought: asText(runs) });
  }
  const table = board(({ width, length }) =>
    buy([{ width, length, rate: RATES.indexOf(now().rate) }])
  );
  const buyDesign = (name, text) => button(text, () => buy(designRuns(name, get("game"))));
  const designs = h(
    "div",
    { class: "cw-tools" },
    buyDesign("L", tr("Buy an L")),
    buyDesign("grid", tr("Buy a grid")),
  );
  updates.push((s) => {
    for (const node of designs.children) node.disabled = s.committed;
  });

  // ---- Controls

  const rates = select({
    id: `${uid}-rate`,
    name: tr("c, for a rate of c/width"),
    children: RATES.map((rate) => h("option", { value: rate }, String(rate))),
    onChange: (value) => change({ rate: Number(value) }),
  });
  updates.push((s) => {
    rates.list.value = s.rate;
  });

  function settingSlider(key, name, text) {
    const control = slider({
      id: `${uid}-${key}`,
      name,
      resetName: name.toLowerCase(),
      onInput: (value) => change({ [key]: value }),
      onReset: () => change({ [key]: null }),
    });
    updates.push((s) =>
      control.show({
        positions: stops(key, s),
        value: s[key],
        text: text(s),
        unchanged: s.committed || get(key) === null || get(key) === undefined,
        disabled: s.committed,
      })
    );
    return control.node;
  }

  const commit = button(tr("Commit"), () => change({ committed: true }));
  commit.classList.add("cw-commit");
  const again = button(tr("New game"), () => {
    const { hero } = now();
    change({ ...USUAL, hero: (hero % HEROES.length) + 1 });
  });
  updates.push((s) => {
    commit.setAttribute("aria-disabled", String(s.committed));
  });
  const tools = h("div", { class: "cw-tools" }, commit, again);

  // ---- The page

  const chart = lossChart({
    now,
    onForecast: (loss) => change({ forecast: asForecast(loss) }),
  });
  const task = h("p", { class: "cw-task" });
  const results = h("div", { class: "cw-results" });
  const speaker = announcer(700);
  const colours = WIDTHS.map((name, width) =>
    h("span", {}, h("i", { class: `cw-width-${width}` }), String(name))
  );
  const keys = h(
    "p",
    { class: "cw-keys" },
    tr("width: "),
    ...colours,
    h("span", {}, h("i", { class: "cw-key-forecast" }), tr("your forecast: drag it")),
  );

  function draw() {
    const s = now();
    const game = get("game");
    const runs = fromText(s.bought);
    for (const update of updates) update(s);
    table.draw(s, runs, game);
    chart.draw(s, runs, game);
    const said = s.committed ? resultSentences(s, runs, game) : [];
    say(task, taskSentence(s, runs, game));
    results.replaceChildren(...said.map((text) => h("p", {}, text)));
    results.hidden = !s.committed;
    note.hidden = !s.committed;
    const last = runs.at(-1);
    const news = [];
    if (last) {
      const loss = lossOfRun(last, game).toFixed(3);
      news.push(tr("{run}: loss {loss}.", { run: runName(last), loss }));
    }
    const forecast = tr("Forecast {loss}, plus or minus {spread}.", {
      loss: s.forecast.toFixed(2),
      spread: s.spread,
    });
    speaker.later([...news, task.textContent, forecast, ...said]);
  }
  const note = h("p", { class: "cw-note" }, SCORE_NOTE);
  const root = h(
    "div",
    { class: "cw cw-game" },
    h(
      "div",
      { class: "cw-desk" },
      h("div", { class: "cw-view" }, task, chart.picture, keys),
      h(
        "div",
        { class: "cw-side" },
        rates.node,
        table.node,
        designs,
        settingSlider(
          "forecast",
          tr("Forecast"),
          (s) => tr("{x} nats", { x: s.forecast.toFixed(2) }),
        ),
        settingSlider("spread", tr("90 % interval"), (s) => tr("± {x} nats", { x: s.spread })),
        tools,
      ),
    ),
    results,
    note,
    speaker.node,
  );
  return mount({
    model,
    el,
    root,
    keys: [...linkable, "game"],
    request: queued(draw),
    draw,
    tools,
    dispose: speaker.cancel,
  });
}

export default { render };
