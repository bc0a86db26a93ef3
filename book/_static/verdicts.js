// The ledger's controls: see book/_ext/verdicts.py. Without this script every claim is shown.

const FIELDS = ["article", "verdict", "how"];

/** `english` in the page's language, its `{holes}` filled (see `give_scripts_their_words`). */
function tr(english, values = {}) {
  const told = globalThis.courseWords?.[english] ?? english;
  return told.replace(/\{(\w+)\}/g, (hole, name) => values[name] ?? hole);
}

/** A text as it is compared: in small letters, with plain quotes and single spaces. */
function plain(text) {
  return text.toLowerCase().replace(/[‘’]/g, "'").replace(/[“”]/g, '"').replace(/\s+/g, " ").trim();
}

function enhance(ledger) {
  const form = ledger.querySelector(".verdict-filter");
  const rows = [...ledger.querySelectorAll("tr[data-verdict]")];
  const texts = rows.map((row) => plain(row.textContent));
  const status = form.querySelector("[role=status]");

  const choose = () => {
    const words = plain(form.elements.words.value).split(" ");
    let shown = 0;
    for (const [i, row] of rows.entries()) {
      const fits = FIELDS.every((name) => {
        const wanted = form.elements[name].value;
        return wanted === "" || row.dataset[name] === wanted;
      });
      row.hidden = !(fits && words.every((word) => texts[i].includes(word)));
      if (!row.hidden) shown += 1;
    }
    status.textContent = tr("{shown} of {all} claims", { shown, all: rows.length });
  };

  /** A link to a claim that is not shown shows all of them. */
  const follow = () => {
    const row = rows.find((row) => row.id && row.id === location.hash.slice(1));
    if (!row?.hidden) return;
    form.reset();
    choose();
    row.scrollIntoView();
  };

  form.addEventListener("input", choose);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(choose)); // the fields change after the event
  addEventListener("hashchange", follow);
  form.hidden = false;
  choose(); // a browser that comes back may have kept the fields
}

for (const ledger of document.querySelectorAll(".verdict-ledger")) enhance(ledger);
