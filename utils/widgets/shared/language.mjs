// The words that a reader sees, in the page's language. English stands in the code, as with gettext;
// another language is a table from the English texts to its own: utils/book/words.py says where.
import { TRANSLATIONS } from "course:book/words";

/**
 * `text` in the page's language. Each `{name}` in it is filled with `values[name]`, after the
 * translation, which may order them as it likes. What has no translation stays English.
 */
export function tr(text, values) {
  const told = Object.hasOwn(TRANSLATIONS, text) ? TRANSLATIONS[text] : text;
  if (values === undefined) return told;
  return told.replace(/\{(\w+)\}/g, (hole, name) => values[name] ?? hole);
}
