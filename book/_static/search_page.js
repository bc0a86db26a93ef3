// What the search page does beyond Sphinx's searchtools.js, which defines `Search`.
/* global Search, DOCUMENTATION_OPTIONS, INDEX_SECTIONS */

const MOST_EDITS = 2; // letters by which a word may differ from a term that is suggested instead

// A page opened from disk may not read its neighbours: no excerpts, and no error for each of them.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

/** `english` in the page's language, its `{holes}` filled (see `give_scripts_their_words`). */
function tr(english, values = {}) {
  const told = globalThis.courseWords?.[english] ?? english;
  return told.replace(/\{(\w+)\}/g, (hole, name) => values[name] ?? hole);
}

/** The text of a page that an excerpt is cut from: its article, without what hides an answer. */
Search.htmlToText = (htmlString, anchor) => {
  const page = new DOMParser().parseFromString(htmlString, "text/html");
  const unread = ".headerlink, script, style, .prediction-answer, .figure-numbers";
  for (const element of page.querySelectorAll(unread)) element.remove();
  const article = page.querySelector("article") ?? page.body;
  let part = anchor ? article.querySelector(anchor) : article;
  // An index entry is an empty mark: what it marks is the section around it.
  if (part && !part.textContent.trim()) part = part.closest("section");
  return (part ?? article).textContent;
};

/** How many letters must be put in, left out or changed to turn one word into the other. */
function edits(one, other) {
  let before = Array.from({ length: other.length + 1 }, (_, i) => i);
  for (let i = 1; i <= one.length; i++) {
    const now = [i];
    for (let j = 1; j <= other.length; j++) {
      const changed = before[j - 1] + (one[i - 1] === other[j - 1] ? 0 : 1);
      now.push(Math.min(changed, before[j] + 1, now[j - 1] + 1));
    }
    before = now;
  }
  return before[other.length];
}

/** The term of the book nearest to `query`, null if none is near. */
function nearestTerm(query) {
  const asked = query.toLowerCase().trim();
  const terms = Object.keys(Search._index.indexentries);
  const words = Object.keys(Search._index.alltitles).flatMap((t) =>
    t.toLowerCase().split(/[^\w-]+/)
  );
  let nearest = null;
  let fewest = Math.min(MOST_EDITS, Math.floor(asked.length / 3)) + 1;
  for (const term of [...terms, ...words]) {
    const distance = term === asked ? Infinity : edits(asked, term.toLowerCase());
    if (distance < fewest) {
      nearest = term;
      fewest = distance;
    }
  }
  return nearest;
}

// Each result is [page, title, anchor, …]: an index entry gets the title of its section.
const perform = Search._performSearch;
Search._performSearch = (...query) =>
  perform(...query).map(([page, title, anchor, ...rest]) => {
    const section = INDEX_SECTIONS[page]?.[anchor.slice(1)];
    return [page, section ? `${title} > ${section}` : title, anchor, ...rest];
  });

const search = Search.query;
Search.query = (query) => {
  search(query);
  const found = Search._performSearch(...Search._parseQuery(query));
  const instead = found.length ? null : nearestTerm(query);
  if (!instead) return;
  const line = document.createElement("p");
  const link = document.createElement("a");
  link.href = `?q=${encodeURIComponent(instead)}`;
  link.textContent = instead;
  line.append(`${tr("Did you mean")} `, link, "?");
  document.getElementById("search-results").prepend(line);
};
