// Shares, words and sentences as the attention explorer says them.
import { chanceOf, effects, largestLook, looksOf } from "./readings.mjs";

const HARDLY = 0.05; // a smaller share is hardly a look
const EARLIER = " An earlier layer may have carried it to a word that this layer looks at.";

export const ATTENTION_WORDS = {
  model: "Model",
  models: { copy: "copying, 2 layers", course: "course, 6 layers" },
  text: "Text",
  cases: {
    twice: "words said twice",
    shuffled: "the first time in another order",
    others: "other words the first time",
  },
  draw: "Words",
  drawOf: (number, count) => `draw ${number} of ${count}`,
  layer: "Layer",
  layerOf: (layer, layers) => `${layer} of ${layers}`,
  compare: "Show what removing each word does to the first bar, in percentage points",
  reset: "Reset all",
  table: "Where the chosen word looks: for each word, the share that each head gives it",
  token: "Who looks?",
  head: (number) => `Head ${number}`,
  effect: "If removed",
  word: (word, place, removed) => `${place} ${word}${removed ? ", removed" : ""}`,
  remove: (word, place) => `Remove ${word}, place ${place}`,
  putBack: (word, place) => `Put ${word} back, place ${place}`,
  next: "Next word",
  now: "Now",
  before: "Before",
  twice: "Said twice",
  chances: "The likeliest next words",
  hint: "Choose a word to see where it looks; × removes it (with the keyboard: arrows and Delete).",
};

/** What is said about the reader's own text. */
export const OWN_WORDS = {
  title: "Your own text, read by the course’s model",
  first: "The king took the crown, and the queen took the",
  label: "Your text",
  submit: "Read",
  reading: "Reading…",
  read: (count) => `Read: ${count} tokens, as they stand and without each of them.`,
  refused: (count, [fewest, most]) =>
    `The text has ${count} tokens; it must have ${fewest} to ${most}.`,
};

/** A share or a probability in whole per cent, which says 0 and 100 of what comes close to them. */
export const wholePercent = (share) => `${Math.round(100 * share)}`;

/** A probability with one decimal. */
export function chance(p) {
  if (p < 0.0005) return "<0.1\u00a0%";
  if (p >= 0.9995) return ">99.9\u00a0%";
  return `${(100 * p).toFixed(1)}\u00a0%`;
}

/** A change of a probability in percentage points, with its sign. */
export function points(change) {
  const rounded = (100 * change).toFixed(Math.abs(change) < 0.0995 ? 1 : 0);
  if (Number(rounded) === 0) return "0";
  return change < 0 ? `−${rounded.slice(1)}` : `+${rounded}`;
}

/** A token with its place in the text, which tells the same word twice said apart. */
const named = (tokens, place) => `“${tokens[place - 1].trim()}” (${place})`;

/** What the places have to do with each other, as words after a comma; "" for nothing special. */
function relation(tokens, present, looking, place) {
  if (place === looking) return ", itself";
  const rows = present.map((index) => tokens[index]);
  const from = present.indexOf(looking - 1);
  const to = present.indexOf(place - 1);
  if (to === from - 1) return ", the word just before it";
  if (to > 0 && rows[to - 1] === rows[from]) return ", the word after its first occurrence";
  return "";
}

/** Where the chosen place looks most in this layer. */
function lookSentence({ tokens, present, layers }, looks, s) {
  const { head, place, share } = largestLook(looks);
  const what = `${named(tokens, place)}${relation(tokens, present, s.place, place)}`;
  return `Layer ${s.layer} of ${layers}, from ${named(tokens, s.place)}: head ${head} gives ` +
    `${wholePercent(share)}\u00a0% to ${what}.`;
}

/** What comes next, and what a removal has changed. */
function nextSentence(reading, before, s) {
  const lead = reading.next[0];
  const leads = `“${lead.text.trim()}” leads with ${chance(lead.p)}`;
  if (s.removed === 0) return `Next, ${leads}.`;
  const first = before.next[0];
  const fate = `“${first.text.trim()}” goes from ${chance(first.p)} to ` +
    `${chance(chanceOf(reading, first.text))}`;
  const rest = lead.text === first.text ? "" : `, and ${leads}`;
  return `Without ${named(reading.tokens, s.removed)}, ${fate}${rest}.`;
}

/**
 * The last word of the whole text asks for the next one: what it looks at most, and a word that it
 * hardly looks at, each with what removing it does.
 */
function compareSentence(read, s) {
  const whole = read(s, 0);
  const { tokens } = whole;
  const changes = effects(read, s);
  const looks = looksOf(whole, s.layer, tokens.length);
  const most = largestLook(looks);
  const lead = `“${whole.next[0].text.trim()}”`;
  const said = `With every word in place, head ${most.head} gives ` +
    `${wholePercent(most.share)}\u00a0% of the last word’s attention to ` +
    `${named(tokens, most.place)}; removing that word moves ${lead} by ` +
    `${points(changes[most.place - 1])} percentage points.`;

  // The last word itself is left out: without it another question is asked.
  const largestShare = (place) => Math.max(...looks.map((head) => head[place - 1]));
  const places = tokens.map((_, i) => i + 1).slice(0, -1);
  const ignored = places.filter((place) => largestShare(place) < HARDLY);
  if (ignored.length === 0) return said;
  const size = (place) => Math.abs(changes[place - 1]);
  const place = ignored.reduce((a, b) => size(b) > size(a) ? b : a);
  return `${said} ${named(tokens, place)} gets less than ${
    wholePercent(HARDLY)
  }\u00a0% from each ` +
    `head of this layer; removing it moves ${lead} by ${points(changes[place - 1])}.${
      s.layer > 1 ? EARLIER : ""
    }`;
}

/** What the explorer shows, as sentences. `before`: the reading with every word in its place. */
export function attentionSentences(read, s) {
  const reading = read(s);
  const looks = looksOf(reading, s.layer, s.place);
  const said = [lookSentence(reading, looks, s), nextSentence(reading, read(s, 0), s)];
  if (s.compare) said.push(compareSentence(read, s));
  return said;
}

const PASSAGES = { copy: "list of different words", course: "passage of a held-out book" };

/** How much likelier a passage's tokens become for this model when it is said again. */
export function gainSentence({ nats, se, passages }, model) {
  const times = Math.exp(nats);
  const digits = times < 10 ? 2 : 0;
  return `When a ${PASSAGES[model]} is said a second time, this model finds its tokens ` +
    `${times.toFixed(digits)} (± ${(times * se).toFixed(digits)}) times as likely as the first ` +
    `time: the geometric mean over ${passages} of them, with its standard error.`;
}
