// Shares, words and sentences as the attention explorer says them.
import { tr } from "../shared/language.mjs";
import { chanceOf, effects, largestLook, looksOf } from "./readings.mjs";

const HARDLY = 0.05; // a smaller share is hardly a look

export const ATTENTION_WORDS = {
  model: tr("Model"),
  models: { copy: tr("copying, 2 layers"), course: tr("course, 6 layers") },
  text: tr("Text"),
  cases: {
    twice: tr("words said twice"),
    shuffled: tr("the first time in another order"),
    others: tr("other words the first time"),
  },
  draw: tr("Words"),
  drawOf: (number, count) => tr("draw {number} of {count}", { number, count }),
  layer: tr("Layer"),
  layerOf: (layer, layers) => tr("{layer} of {layers}", { layer, layers }),
  compare: tr("Show what removing each word does to the first bar, in percentage points"),
  reset: tr("Reset all"),
  table: tr("Where the chosen word looks: for each word, the share that each head gives it"),
  token: tr("Who looks?"),
  head: (number) => tr("Head {number}", { number }),
  effect: tr("If removed"),
  word: (word, place, removed) =>
    removed
      ? tr("{place} {word}, removed", { place, word })
      : tr("{place} {word}", { place, word }),
  remove: (word, place) => tr("Remove {word}, place {place}", { word, place }),
  putBack: (word, place) => tr("Put {word} back, place {place}", { word, place }),
  next: tr("Next word"),
  now: tr("Now"),
  before: tr("Before"),
  twice: tr("Said twice"),
  chances: tr("The likeliest next words"),
  hint: tr(
    "Choose a word to see where it looks; × removes it (with the keyboard: arrows and Delete).",
  ),
};

/** What is said about the reader's own text. */
export const OWN_WORDS = {
  title: tr("Your own text, read by the course’s model"),
  first: "The king took the crown, and the queen took the",
  label: tr("Your text"),
  submit: tr("Read"),
  reading: tr("Reading…"),
  read: (count) => tr("Read: {count} tokens, as they stand and without each of them.", { count }),
  refused: (count, [fewest, most]) =>
    tr("The text has {count} tokens; it must have {fewest} to {most}.", { count, fewest, most }),
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
const named = (tokens, place) =>
  tr("“{word}” ({place})", { word: tokens[place - 1].trim(), place });

/** A token in quotation marks. */
const quoted = (text) => tr("“{word}”", { word: text.trim() });

/** What the places have to do with each other, as words after a comma; "" for nothing special. */
function relation(tokens, present, looking, place) {
  if (place === looking) return tr(", itself");
  const rows = present.map((index) => tokens[index]);
  const from = present.indexOf(looking - 1);
  const to = present.indexOf(place - 1);
  if (to === from - 1) return tr(", the word just before it");
  if (to > 0 && rows[to - 1] === rows[from]) return tr(", the word after its first occurrence");
  return "";
}

/** Where the chosen place looks most in this layer. */
function lookSentence({ tokens, present, layers }, looks, s) {
  const { head, place, share } = largestLook(looks);
  const what = `${named(tokens, place)}${relation(tokens, present, s.place, place)}`;
  return tr("Layer {layer} of {layers}, from {from}: head {head} gives {share}\u00a0% to {what}.", {
    layer: s.layer,
    layers,
    from: named(tokens, s.place),
    head,
    share: wholePercent(share),
    what,
  });
}

/** What comes next, and what a removal has changed. */
function nextSentence(reading, before, s) {
  const lead = reading.next[0];
  const leading = { word: quoted(lead.text), chance: chance(lead.p) };
  if (s.removed === 0) return tr("Next, {word} leads with {chance}.", leading);
  const first = before.next[0];
  const fate = {
    ...leading,
    removed: named(reading.tokens, s.removed),
    first: quoted(first.text),
    from: chance(first.p),
    to: chance(chanceOf(reading, first.text)),
  };
  if (lead.text === first.text) {
    return tr("Without {removed}, {first} goes from {from} to {to}.", fate);
  }
  return tr(
    "Without {removed}, {first} goes from {from} to {to}, and {word} leads with {chance}.",
    fate,
  );
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
  const lead = quoted(whole.next[0].text);
  const said = [tr(
    "With every word in place, head {head} gives {share}\u00a0% of the last word’s attention to " +
      "{word}; removing that word moves {lead} by {points} percentage points.",
    {
      head: most.head,
      share: wholePercent(most.share),
      word: named(tokens, most.place),
      lead,
      points: points(changes[most.place - 1]),
    },
  )];

  // The last word itself is left out: without it another question is asked.
  const largestShare = (place) => Math.max(...looks.map((head) => head[place - 1]));
  const places = tokens.map((_, i) => i + 1).slice(0, -1);
  const ignored = places.filter((place) => largestShare(place) < HARDLY);
  if (ignored.length === 0) return said[0];
  const size = (place) => Math.abs(changes[place - 1]);
  const place = ignored.reduce((a, b) => size(b) > size(a) ? b : a);
  said.push(tr(
    "{word} gets less than {share}\u00a0% from each head of this layer; removing it moves {lead} by " +
      "{points}.",
    {
      word: named(tokens, place),
      share: wholePercent(HARDLY),
      lead,
      points: points(changes[place - 1]),
    },
  ));
  if (s.layer > 1) {
    said.push(tr("An earlier layer may have carried it to a word that this layer looks at."));
  }
  return said.join(" ");
}

/** What the explorer shows, as sentences. `before`: the reading with every word in its place. */
export function attentionSentences(read, s) {
  const reading = read(s);
  const looks = looksOf(reading, s.layer, s.place);
  const said = [lookSentence(reading, looks, s), nextSentence(reading, read(s, 0), s)];
  if (s.compare) said.push(compareSentence(read, s));
  return said;
}

const PASSAGES = {
  copy: tr("list of different words"),
  course: tr("passage of a held-out book"),
};

/** How much likelier a passage's tokens become for this model when it is said again. */
export function gainSentence({ nats, se, passages }, model) {
  const times = Math.exp(nats);
  const digits = times < 10 ? 2 : 0;
  return tr(
    "When a {passage} is said a second time, this model finds its tokens {times} (± {error}) times " +
      "as likely as the first time: the geometric mean over {count} of them, with its standard " +
      "error.",
    {
      passage: PASSAGES[model],
      times: times.toFixed(digits),
      error: (times * se).toFixed(digits),
      count: passages,
    },
  );
}
