// What a reader moves, and what every explorer does about it: controls with a name and a reset, one
// redraw after each change, and an orderly end.
import { h, say } from "./dom.mjs";
import { linkCopier, stepsGuide } from "./guide.mjs";
import { tr } from "./language.mjs";
import { clamp } from "./numbers.mjs";

let made = 0;

/**
 * A beginning for the ids of one explorer, which must differ from those of another on the same
 * page.
 */
export const uniqueId = (name) => `${name}-${++made}`;

// ---- Controls

export function button(text, onClick) {
  const node = h("button", { type: "button", class: "cw-button" }, text);
  node.addEventListener("click", onClick);
  return node;
}

/**
 * A finger that begins to scroll on a slider has already moved it when the browser sees that it is
 * a scroll and cancels the pointer. Then `restore` gets back what `value()` was before.
 */
export function undoneByScrolling(input, value, restore) {
  let before;
  input.addEventListener("pointerdown", () => {
    before = value();
  });
  input.addEventListener("pointercancel", () => restore(before));
}

/** What a slider's value means. It is no live region: the slider itself says its value. */
export const sliderOutput = (id) => h("output", { for: id, "aria-live": "off" });

/**
 * A slider that moves through a list of values, what its value means, and a button that resets it.
 * `resetName` is its name inside a sentence. `onInput(value)` is called while it moves, `onReset()`
 * when it is to go back.
 * `show({ positions, value, text, unchanged, disabled })` puts it at `value`, one of the
 * `positions`; a screen reader says `text` in place of the position's number, and `unchanged` hides
 * the button.
 */
export function slider({ id, name, resetName, onInput, onReset }) {
  let values = [];
  const input = h("input", { type: "range", id, min: 0, step: 1 });
  const output = sliderOutput(id);
  const resetLabel = tr("Reset {name}", { name: resetName, Name: name });
  const reset = h("button", { type: "button", class: "cw-reset", "aria-label": resetLabel }, "↺");
  input.addEventListener("input", () => onInput(values[input.value]));
  undoneByScrolling(input, () => values[input.value], onInput);
  reset.addEventListener("click", () => {
    onReset();
    input.focus(); // the button is about to vanish, and the keyboard with it
  });
  const label = h("label", { for: id }, name);
  return {
    node: h("div", { class: "cw-slider" }, label, output, input, reset),
    show({ positions, value, text, unchanged, disabled = false }) {
      values = positions;
      input.max = positions.length - 1;
      input.value = positions.indexOf(value);
      input.disabled = disabled;
      input.setAttribute("aria-valuetext", text);
      say(output, text);
      reset.disabled = unchanged;
    },
  };
}

/**
 * The positions of a slider: its round values `stops`, which rise, and, so that it never lies, the
 * present value and any other that must be reachable.
 */
export function positions(stops, ...values) {
  const missing = values.filter((value) => !stops.includes(value));
  if (missing.length === 0) return stops;
  return [...new Set([...stops, ...missing])].sort((a, b) => a - b);
}

/** The options of a `select`, from a table of the value and what the reader reads. */
export const options = (names) =>
  Object.entries(names).map(([value, text]) => h("option", { value }, text));

/** A list to choose from, with its name. `children` are options or groups of them. */
export function select({ id, name, children, onChange }) {
  const list = h("select", { id }, ...children);
  list.addEventListener("change", () => onChange(list.value));
  return { node: h("div", { class: "cw-select" }, h("label", { for: id }, name), list), list };
}

/**
 * A field for a whole number, `min` to `max`. After every change it says the number that is used:
 * the nearest in the range, or `usual` where the field was cleared. Returns the field, and
 * `read()`, which does so at once.
 */
export function numberField({ usual, onChange = () => {}, ...attributes }) {
  const field = h("input", { type: "number", ...attributes });
  const read = () => {
    const asked = field.value === "" ? usual : Math.round(Number(field.value));
    const used = clamp(asked, [attributes.min, attributes.max]);
    field.value = used;
    return used;
  };
  field.addEventListener("change", () => onChange(read()));
  return { field, read };
}

/**
 * JupyterLab takes a focused control's arrow keys for its own unless the control itself says not
 * to.
 */
function suppressShortcuts(root) {
  for (const node of root.querySelectorAll("input, select, button, textarea, [tabindex]")) {
    node.setAttribute("data-lm-suppress-shortcuts", "");
  }
}

// ---- Changes

/**
 * A function that sets some of the model's settings; one at its `usual` value is stored as null.
 */
export function changer(model, usual = {}) {
  return (values) => {
    for (const [key, value] of Object.entries(values)) {
      model.set(key, value === usual[key] ? null : value);
    }
    model.save_changes();
  };
}

/**
 * `draw`, to be asked for as often as needed: it runs once, after all the changes of this moment.
 */
export function queued(draw) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    queueMicrotask(() => {
      waiting = false;
      draw();
    });
  };
}

/**
 * Puts off what need not follow every step of a slider: `run(task)` waits until no other has come
 * for a while.
 */
export function resting(milliseconds) {
  let timer;
  return {
    run(task) {
      clearTimeout(timer);
      timer = setTimeout(task, milliseconds);
    },
    cancel: () => clearTimeout(timer),
  };
}

/**
 * What a screen reader is told. `later(sentences)` waits until no other call has come for a while,
 * and then says those sentences that are new. The first ones are what the page shows when it has
 * loaded, and nobody has asked for them.
 */
export function announcer(milliseconds) {
  const node = h("p", { class: "cw-hidden", "aria-live": "polite" });
  const atRest = resting(milliseconds);
  let known = null; // the sentences of the last time
  function later(sentences) {
    if (known === null) {
      known = sentences;
      return;
    }
    atRest.run(() => {
      const news = sentences.filter((sentence) => !known.includes(sentence));
      known = sentences;
      if (news.length > 0) node.textContent = news.join(" ");
    });
  }
  return { node, later, cancel: atRest.cancel };
}

/**
 * Puts `root` into `el`, draws it, and draws again when one of the settings `keys` changes.
 * `others` are further events of the model, each with what it calls. On a page the explorer also
 * gets the page's steps, above everything, and a button in `tools` that copies its link. Returns
 * what anywidget calls when the widget goes away.
 */
export function mount(
  { model, el, root, keys, request, draw, others = {}, tools = root, dispose },
) {
  const listeners = keys.map((key) => [`change:${key}`, request]);
  listeners.push(...Object.entries(others));
  const copier = linkCopier(model);
  if (copier) {
    tools.append(copier.node);
    listeners.push(["change", copier.clear]);
  }
  const guide = stepsGuide(model);
  if (guide) {
    root.prepend(guide.node);
    listeners.push(["linked", guide.draw]);
  }
  suppressShortcuts(root);
  el.append(root);
  for (const [event, callback] of listeners) model.on(event, callback);
  draw();
  return () => {
    for (const [event, callback] of listeners) model.off(event, callback);
    dispose();
    root.remove();
  };
}
