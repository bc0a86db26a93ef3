// Questions that hide their answer until the reader has guessed: see book/_ext/predictions.py.
// Each `.prediction` holds a question, perhaps an ordered list of options, and `.prediction-answer`;
// the `.prediction-rest` behind it shows the answer too. The class `answered` opens both.

const SHOW_ALL = "course-predictions-open"; // in localStorage: "1" once a reader wants no questions

/** localStorage may be closed to us, as on some file:// pages: then nothing is remembered. */
const memory = {
  get(key) {
    try {
      return localStorage.getItem(key);
    } catch {
      return null;
    }
  },
  set(key, value) {
    try {
      if (value === null) localStorage.removeItem(key);
      else localStorage.setItem(key, value);
    } catch {
      // Nothing to do: the page works without.
    }
  },
};

/** Where a guess is remembered: by page and question, and void once the question is reworded. */
function keyOf(prediction) {
  const page = location.pathname.split("/").slice(-2).join("/");
  const asked = prediction.querySelector("p")?.textContent ?? "";
  let hash = 0;
  for (const letter of asked) hash = (hash * 31 + letter.codePointAt(0)) % 1_000_003;
  return `course-prediction ${page} ${prediction.dataset.number} ${hash}`;
}

/** `english` in the page's language, its `{holes}` filled (see `give_scripts_their_words`). */
function tr(english, values = {}) {
  const told = globalThis.courseWords?.[english] ?? english;
  return told.replace(/\{(\w+)\}/g, (hole, name) => values[name] ?? hole);
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

/** Make the ordered list a group of radio buttons; returns their inputs, none without a list. */
function makeOptions(prediction) {
  const list = [...prediction.children].find((child) => child.tagName === "OL");
  if (!list) return [];
  const group = element("fieldset");
  const legend = element("legend", "visually-hidden", tr("Your guess"));
  list.replaceWith(group);
  group.append(legend, list);
  list.classList.add("options");
  return [...list.children].map((item, i) => {
    const input = element("input");
    input.type = "radio";
    input.name = `prediction-${prediction.dataset.number}`;
    input.value = String(i + 1);
    const text = element("span", "text");
    text.append(...item.childNodes);
    const label = element("label");
    label.append(input, text);
    item.append(label);
    return input;
  });
}

/** Open a question's answer, and mark `guess` (an option's number, or 0 for none). */
function open(prediction, guess) {
  if (prediction.classList.contains("answered")) return;
  prediction.classList.add("answered");
  const right = Number(prediction.dataset.answer);
  for (const input of prediction.querySelectorAll("input[type=radio]")) {
    const number = Number(input.value);
    const label = input.closest("label");
    input.checked = number === guess;
    input.disabled = true;
    if (number === right) {
      label.classList.add("right");
      const words = number === guess ? tr("your guess") : tr("the answer");
      label.append(element("span", "mark", `✓ ${words}`));
    } else if (number === guess) {
      label.classList.add("wrong");
      label.append(element("span", "mark", `✗ ${tr("your guess")}`));
    }
  }
  prediction.querySelector(".prediction-controls")?.remove();
  if (guess) {
    const said = guess === right
      ? tr("Your guess is right.")
      : tr("Your guess was option {guess}; option {right} is right.", { guess, right });
    prediction.querySelector(".said").textContent = said;
  }
  // Charts that were drawn while hidden measure their size again.
  dispatchEvent(new Event("resize"));
}

function enhance(prediction) {
  const inputs = makeOptions(prediction);
  const answer = prediction.querySelector(":scope > .prediction-answer");
  const said = element("p", "said");
  said.setAttribute("role", "status");
  const controls = element("div", "prediction-controls");
  const key = keyOf(prediction);
  const guessed = (guess) => {
    memory.set(key, String(guess));
    open(prediction, guess);
  };

  if (inputs.length) {
    const check = element("button", "", tr("Check my guess"));
    check.type = "button";
    check.disabled = true;
    check.addEventListener("click", () => {
      guessed(Number(inputs.find((input) => input.checked).value));
    });
    for (const input of inputs) {
      input.addEventListener("change", () => {
        check.disabled = false;
      });
      // A finger or a mouse chooses at once. Arrow keys only move: Enter or the button chooses.
      input.closest("label").addEventListener("click", (event) => {
        if (event.detail > 0 && !prediction.classList.contains("answered")) {
          guessed(Number(input.value));
        }
      });
      input.addEventListener("keydown", (event) => {
        if (event.key === "Enter" && input.checked) guessed(Number(input.value));
      });
    }
    controls.append(check);
  }
  const label = inputs.length
    ? tr("Show the answer without a guess")
    : tr("I have my guess: show what happened");
  const skip = element("button", inputs.length ? "plain" : "", label);
  skip.type = "button";
  skip.addEventListener("click", () => guessed(0));
  controls.append(skip);
  answer.before(said, controls);

  const before = memory.get(key);
  if (before !== null) open(prediction, Number(before));
}

/** Open every question around `target`, so that a link to a hidden figure shows it. */
function openAround(target) {
  for (let at = target; at; at = at.parentElement) {
    const hidden = at.matches?.(".prediction-rest, .prediction-answer");
    if (!hidden) continue;
    const prediction = at.matches(".prediction-answer")
      ? at.parentElement
      : at.previousElementSibling;
    if (prediction?.matches(".prediction")) open(prediction, 0);
  }
}

function followHash() {
  let id = location.hash.slice(1);
  try {
    id = decodeURIComponent(id);
  } catch {
    return; // no address of ours
  }
  const target = id && document.getElementById(id);
  if (!target || target.checkVisibility?.() !== false) return;
  openAround(target);
  target.scrollIntoView();
}

/** The line above the first question: how many there are, and a way to see everything. */
function addBar(predictions) {
  const bar = element("div", "predictions-bar");
  const n = predictions.length;
  const questions = n === 1
    ? tr("This page asks one question before it shows what happened.")
    : tr("This page asks {n} questions before it shows what happened.", { n });
  const text = element("span", "", questions);
  const button = element("button");
  button.type = "button";
  const showing = () => memory.get(SHOW_ALL) === "1";
  const name = () => {
    button.textContent = showing() ? tr("Ask me first again") : tr("Show everything");
  };
  name();
  button.addEventListener("click", () => {
    if (showing()) {
      memory.set(SHOW_ALL, null);
      for (const prediction of predictions) memory.set(keyOf(prediction), null);
      location.reload();
      return;
    }
    memory.set(SHOW_ALL, "1");
    for (const prediction of predictions) open(prediction, 0);
    name();
  });
  bar.append(text, button);
  const title = document.querySelector(".bd-article h1");
  title?.after(bar);
}

const predictions = [...document.querySelectorAll(".prediction")];
for (const prediction of predictions) enhance(prediction);
if (predictions.length) {
  addBar(predictions);
  if (memory.get(SHOW_ALL) === "1") { for (const prediction of predictions) open(prediction, 0); }
  followHash();
  addEventListener("hashchange", followHash);
}
