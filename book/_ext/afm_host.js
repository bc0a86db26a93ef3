// Mounts the course's widgets on a static page: every <div data-afm="NAME"> gets the module of that
// name. A classic script, inlined, because file:// blocks <script type="module" src> and fetch; the
// modules stand in the page as text and are imported from a Blob, which file:// allows. The model
// below is the part of anywidget's front-end contract (AFM) that a page without a kernel can offer.
// Settings that a module names in `linkable` are kept in the address, as #ID?name=value&… When the
// reader follows such a link, the model also fires "linked", for what a module keeps beside its
// settings.
(() => {
  "use strict";
  const text = (selector, root = document) => root.querySelector(selector)?.textContent;

  class Model {
    #state;
    #callbacks = new Map();
    #onSave;
    constructor(state, onSave) {
      this.#state = new Map(Object.entries(state));
      this.#onSave = onSave;
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

  async function mount(node) {
    const record = node.dataset.afmRecord &&
      text(`script[data-afm-record-file="${node.dataset.afmRecord}"]`);
    const initial = { ...JSON.parse(record || "{}"), ...JSON.parse(text("script", node) || "{}") };
    const module = await load(node.dataset.afm);
    const widget = typeof module.default === "function" ? await module.default() : module.default;
    const linkable = module.linkable ?? [];
    const asked = addressed(node.id);
    const linked = Object.fromEntries((asked ?? []).filter(([key]) => linkable.includes(key)));

    let timer; // Safari refuses more than 100 changes of the address in 30 seconds
    const remember = (model) => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        const query = new URLSearchParams();
        for (const key of linkable) {
          if ((model.get(key) ?? null) !== (initial[key] ?? null)) {
            query.set(key, model.get(key) ?? "null");
          }
        }
        history.replaceState(history.state, "", `#${node.id}?${query}`.replace(/\?$/, ""));
      }, 300);
    };
    const model = new Model({ ...initial, ...linked }, remember);
    const el = document.createElement("div");
    await widget.initialize?.({ model });
    await widget.render?.({ model, el });
    node.replaceChildren(el);
    node.dataset.afmReady = "";
    if (asked) node.scrollIntoView();
    const follow = () => {
      const wanted = addressed(node.id);
      if (!wanted) return;
      const values = Object.fromEntries(wanted);
      for (const key of linkable) model.set(key, values[key] ?? initial[key]);
      model.fire("linked");
      node.scrollIntoView();
    };
    addEventListener("hashchange", follow);
    addEventListener("click", (event) => { // a link to the present address changes no hash
      const elsewhere = event.ctrlKey || event.metaKey || event.shiftKey; // a new tab or window
      if (!elsewhere && event.target.closest?.("a[href]")?.href === location.href) follow();
    });
  }

  for (const node of document.querySelectorAll("[data-afm]")) {
    mount(node).catch((error) => {
      node.append(`This explorer could not start: ${error.message}`);
      console.error(error);
    });
  }
})();
