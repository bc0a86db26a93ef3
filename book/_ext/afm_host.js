// Mounts the course's widgets on a static page: every <div data-afm="NAME"> gets the module of that
// name. A classic script, inlined, because file:// blocks <script type="module" src> and fetch; the
// modules stand in the page as text and are imported from a Blob, which file:// allows. The model
// below is the part of anywidget's front-end contract (AFM) that a page without a kernel can offer.
//
// Settings that a module names in `linkable` are kept in the address, as #ID?name=value&…, and in
// the browser's history, so that Back returns the explorer to where it was. When the reader follows
// such a link or goes back, the model also fires "linked", for what a module keeps beside its
// settings. A module that exports `settings(get)`, which puts them in range, has an address that
// asks for more corrected, and the reader is told. `model.address(settings)` is the address of the
// explorer under these settings; a notebook's model has no such function.
(() => {
  "use strict";
  const text = (selector, root = document) => root.querySelector(selector)?.textContent;
  const tr = (english) => globalThis.courseWords?.[english] ?? english; // in the page's language

  class Model {
    #state;
    #callbacks = new Map();
    #onSave;
    constructor(state, onSave, address) {
      this.#state = new Map(Object.entries(state));
      this.#onSave = onSave;
      this.address = address;
    }
    get(key) {
      return this.#state.get(key);
    }
    set(key, value) {
      if (Object.is(this.get(key), value)) return;
      this.#state.set(key, value);
      for (const event of [`change:${key}`, "change"]) this.fire(event, value);
    }
    fire(event, value) {
      for (const callback of [...(this.#callbacks.get(event) ?? [])]) callback(this, value);
    }
    on(event, callback) {
      if (!this.#callbacks.has(event)) this.#callbacks.set(event, new Set());
      this.#callbacks.get(event).add(callback);
    }
    off(event, callback) {
      if (callback) this.#callbacks.get(event)?.delete(callback);
      else if (event) this.#callbacks.delete(event);
      else this.#callbacks.clear();
    }
    save_changes() {
      this.#onSave(this);
    }
    send() {}
  }

  /**
   * The settings that the address holds for widget `id`, or null when it speaks of something else.
   */
  function addressed(id) {
    const [target, query] = location.hash.slice(1).split("?");
    if (target !== id) return null;
    return [...new URLSearchParams(query ?? "")].map(([key, value]) => {
      try {
        value = JSON.parse(value);
      } catch { /* a bare word is a string */ }
      return [key, typeof value === "object" ? null : value];
    });
  }

  const modules = new Map();
  function load(name) {
    if (!modules.has(name)) {
      const source = text(`script[data-afm-module="${name}"]`);
      const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
      modules.set(name, import(url).finally(() => URL.revokeObjectURL(url)));
    }
    return modules.get(name);
  }

  // Sphinx's script for the words of a search empties the state of the history's entry once the page
  // is read in: what an earlier visit left there is taken before, and written again after it.
  const atFirst = history.state?.explorers;

  /** The settings of widget `id` that the present entry of the browser's history holds, if any. */
  const remembered = (id) => history.state?.explorers?.[id];

  /**
   * What stands of the settings that an address `asked` for, pairs of name and value: those that
   * the module has, as its own `settings` makes them. `corrections`: what it made otherwise.
   */
  function understood(module, initial, asked) {
    const linkable = module.linkable ?? [];
    const stands = Object.fromEntries(asked.filter(([key]) => linkable.includes(key)));
    const corrections = [];
    if (!module.settings) return { stands, corrections };
    const usual = module.settings((key) => initial[key]);
    const used = module.settings((key) => key in stands ? stands[key] : initial[key]);
    for (const [key, value] of Object.entries(stands)) {
      if (value === null || !(key in used) || used[key] === value) continue;
      stands[key] = used[key] === usual[key] ? initial[key] ?? null : used[key];
      const name = key.replaceAll("_", " ");
      corrections.push(`${name} ${value} (${tr("here")} ${used[key]})`);
    }
    return { stands, corrections };
  }

  async function mount(node) {
    const { id } = node;
    const record = node.dataset.afmRecord &&
      text(`script[data-afm-record-file="${node.dataset.afmRecord}"]`);
    const initial = { ...JSON.parse(record || "{}"), ...JSON.parse(text("script", node) || "{}") };
    const module = await load(node.dataset.afm);
    const widget = typeof module.default === "function" ? await module.default() : module.default;
    const linkable = module.linkable ?? [];

    // ---- The address and the browser's history

    /**
     * The address of the explorer under `settings`, by default the present ones. Those left out
     * are as it starts.
     */
    function address(settings = present()) {
      const query = new URLSearchParams();
      for (const key of Object.keys(settings)) {
        if (!linkable.includes(key)) throw new Error(`there is no setting ${key}`);
      }
      for (const key of linkable) {
        const value = settings[key] ?? null;
        const asInitial = value === (initial[key] ?? null);
        if (key in settings && !asInitial) query.set(key, value);
      }
      return new URL(`#${id}?${query}`.replace(/\?$/, ""), location.href).href;
    }
    const present = () => Object.fromEntries(linkable.map((key) => [key, model.get(key) ?? null]));

    /** Keep the present settings in this entry of the history, and, if asked, in its address. */
    function keep(href = location.href) {
      const explorers = { ...history.state?.explorers, [id]: present() };
      history.replaceState({ ...history.state, explorers }, "", href);
    }

    let timer = 0; // Safari refuses more than 100 changes of the address in 30 seconds
    function keepNow() {
      clearTimeout(timer);
      timer = 0;
      keep(address());
    }
    function keepSoon() {
      clearTimeout(timer);
      timer = setTimeout(keepNow, 300);
    }

    // ---- What an address asked for and cannot have

    const note = document.createElement("p");
    note.className = "cw-correction";
    function correct(corrections) {
      note.hidden = corrections.length === 0;
      const told = tr("The link asks for what this explorer does not have: {settings}.");
      note.textContent = told.replace("{settings}", () => corrections.join(", "));
      if (corrections.length > 0) keepNow();
    }

    // ---- The widget

    const asked = addressed(id);
    const { stands, corrections } = understood(module, initial, asked ?? []);
    const before = asked ? {} : atFirst?.[id]; // the page was left and is loaded again
    const model = new Model({ ...initial, ...stands, ...before }, keepSoon, address);
    const el = document.createElement("div");
    await widget.initialize?.({ model });
    await widget.render?.({ model, el });
    node.replaceChildren(note, el);
    node.dataset.afmReady = "";
    correct(corrections);
    keep();
    if (document.readyState !== "complete") addEventListener("load", () => keep());
    model.on("change", () => {
      note.hidden = true;
    });
    if (asked) node.scrollIntoView();

    /** Put these settings in place; those left out are as the explorer starts. */
    function take(settings) {
      for (const key of linkable) model.set(key, key in settings ? settings[key] : initial[key]);
      model.fire("linked");
    }

    function follow(asked) {
      const { stands, corrections } = understood(module, initial, asked);
      take(stands);
      correct(corrections);
    }

    // ---- Links, Back and Forward

    let inside = false; // whether the link that is being followed stands in the explorer itself
    addEventListener("hashchange", () => {
      clearTimeout(timer); // what was to be kept belongs to the address before
      timer = 0;
      const asked = addressed(id);
      const before = remembered(id);
      if (before) { // the reader has gone back or forward, and the browser has scrolled there
        take(before);
      } else if (asked) {
        follow(asked);
        if (!inside) node.scrollIntoView();
      }
      inside = false;
      keep();
    });
    addEventListener("click", (event) => {
      const elsewhere = event.ctrlKey || event.metaKey || event.shiftKey; // a new tab or window
      const link = event.target.closest?.("a[href]");
      if (elsewhere || !link) return;
      if (timer) keepNow(); // in the entry of the history that this click may leave
      else keep();
      inside = node.contains(link);
      const asked = addressed(id);
      if (link.href !== location.href || !asked) return;
      follow(asked); // a link to the present address changes no hash
      if (!inside) node.scrollIntoView();
      inside = false;
    }, { capture: true });
  }

  // The outline beside the text makes way for what carries the theme's class "full-width". On a page
  // without an outline the theme's script would stumble over the class, so it is added only now, and
  // in the capturing phase, which comes before that script looks for it.
  addEventListener("DOMContentLoaded", () => {
    if (!document.querySelector(".bd-sidebar-secondary")) return;
    for (const node of document.querySelectorAll(".cw-wide")) node.classList.add("full-width");
  }, { capture: true });

  for (const node of document.querySelectorAll("[data-afm]")) {
    mount(node).catch((error) => {
      node.append(`${tr("This explorer could not start:")} ${error.message}`);
      console.error(error);
    });
  }
})();
