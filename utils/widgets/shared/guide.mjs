// What a page adds to an explorer: numbered steps that set it, and a button that copies its link.
// Both need the address of settings (`model.address`), which a notebook's model does not have.
import { h, say } from "./dom.mjs";
import { tr } from "./language.mjs";

const GUIDE_WORDS = {
  steps: tr("Steps"),
  invitation: tr("Follow the steps, or move the controls as you like."),
  step: (number, count) => tr("Step {number} of {count}", { number, count }),
  next: tr("Next step"),
  copy: tr("Copy link"),
  copied: tr("Copied."),
  notCopied: (address) =>
    tr("The browser does not allow copying. The link is {address}", { address }),
};

/**
 * The steps that the page gives in `model.get("steps")`, each `{text, settings}`: a row of numbers,
 * each a link to its settings, and the text of the one that was chosen. They are links so that
 * Back undoes a step. `draw()` follows the address. Returns null where there are no steps.
 */
export function stepsGuide(model) {
  const steps = model.get("steps") ?? [];
  if (steps.length === 0 || !model.address) return null;
  const addresses = steps.map(({ settings }) => model.address(settings));
  const links = addresses.map((href, i) => {
    const name = GUIDE_WORDS.step(i + 1, steps.length);
    return h("a", { class: "cw-number-link", href, "aria-label": name }, String(i + 1));
  });
  const next = h("a", { class: "cw-next-step" }, GUIDE_WORDS.next);
  const text = h("p", { class: "cw-step-text", "aria-live": "polite" });

  let chosen = -1; // the step at which the reader is
  links.forEach((link, i) =>
    link.addEventListener("click", () => {
      chosen = i; // two steps may have the same settings
    })
  );
  next.addEventListener("click", () => {
    chosen += 1;
  });

  function draw() {
    const present = model.address();
    if (addresses[chosen] !== present) chosen = addresses.indexOf(present);
    links.forEach((link, i) => {
      if (i === chosen) link.setAttribute("aria-current", "step");
      else link.removeAttribute("aria-current");
    });
    say(text, steps[chosen]?.text ?? GUIDE_WORDS.invitation);

    const last = chosen === steps.length - 1;
    if (last && next.matches(":focus")) links.at(-1).focus(); // a hidden link would lose it
    next.hidden = last;
    if (!last) next.href = addresses[chosen + 1];
  }
  const items = links.map((link) => h("li", {}, link));
  const row = h("div", { class: "cw-step-row" }, h("ol", {}, ...items), next);
  const node = h(
    "div",
    { class: "cw-steps", role: "group", "aria-label": GUIDE_WORDS.steps },
    row,
    text,
  );
  draw();
  return { node, draw };
}

/**
 * A button that copies the address of the present settings, and says so until they change
 * (`clear()`). Returns null where there is no address.
 */
export function linkCopier(model) {
  if (!model.address) return null;
  const copy = h("button", { type: "button", class: "cw-button" }, GUIDE_WORDS.copy);
  const said = h("span", { class: "cw-copied", role: "status" });
  copy.addEventListener("click", async () => {
    const address = model.address();
    try {
      await navigator.clipboard.writeText(address);
      say(said, GUIDE_WORDS.copied);
    } catch {
      say(said, GUIDE_WORDS.notCopied(address));
    }
  });
  return { node: h("span", { class: "cw-copy" }, copy, said), clear: () => say(said, "") };
}
