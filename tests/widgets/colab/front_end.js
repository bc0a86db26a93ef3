// The page's end of a kernel's widgets, under one of two managers of Colab. The tests deliver the
// kernel's messages by `deliver`, and take the page's by `toKernel`. `show(model)` draws a widget.

globalThis.models = {}; // the state of each, by its id
const readers = {}; // who reads the messages to a model

globalThis.deliver = (model, data) => {
  for (const read of readers[model] ?? []) read(data);
};

function listen(model, read) {
  (readers[model] ??= []).push(read);
}

function send(model, data) {
  return globalThis.toKernel(model, JSON.stringify(data));
}

function box(model) {
  const element = document.createElement("div");
  element.id = `model-${model}`;
  document.querySelector("main").append(element);
  return element;
}

/** A widget manager of ipywidgets 7, from npm: what draws plain sliders on Colab is as old. */
export function startHtmlManager({ HTMLManager }) {
  const made = {};

  class Manager extends HTMLManager {
    get_model(id) {
      const state = globalThis.models[id];
      made[id] ??= this.new_model({
        model_name: state._model_name,
        model_module: state._model_module,
        model_module_version: state._model_module_version,
        model_id: id,
        comm: classicComm(id),
      }, state);
      return made[id];
    }
  }

  const loader = (name) =>
    new Promise((found, failed) => globalThis.requirejs([name], found, failed));
  const manager = new Manager({ loader });
  globalThis.show = async (id) => {
    const view = await manager.create_view(await manager.get_model(id));
    await manager.display_view(null, view, { el: box(id) });
  };
}

function classicComm(model) {
  return {
    comm_id: model,
    target_name: "jupyter.widget",
    send(data, callbacks) {
      // A model sends its next change once the kernel is idle again.
      const idle = { content: { execution_state: "idle" } };
      send(model, data).then(() => callbacks?.iopub?.status?.(idle));
      return "";
    },
    on_msg(callback) {
      listen(model, (data) => callback({ content: { comm_id: model, data } }));
    },
    on_close() {},
    close() {},
  };
}

/** The manager that Colab loads for other packages' widgets; its README tells what it asks for. */
export function startColabManager({ createWidgetManager }) {
  const manager = createWidgetManager({
    getModelState(id) {
      const state = globalThis.models[id];
      return Promise.resolve({
        modelName: state._model_name,
        modelModule: state._model_module,
        modelModuleVersion: state._model_module_version,
        state,
        comm: colabComm(id),
      });
    },
    openCommChannel: () => Promise.reject(new Error("no widget of ours opens a channel")),
    renderOutput: () => Promise.reject(new Error("no widget of ours holds outputs")),
  });
  globalThis.show = (id) => manager.render(id, box(id));
}

function colabComm(model) {
  return {
    send: (data) => send(model, data),
    close() {},
    /** The messages from now on, for each who asks. */
    get messages() {
      const waiting = [];
      let wake = () => {};
      listen(model, (data) => {
        waiting.push({ data });
        wake();
      });
      return {
        async *[Symbol.asyncIterator]() {
          while (true) {
            while (waiting.length > 0) yield waiting.shift();
            await new Promise((woken) => (wake = woken));
          }
        },
      };
    },
  };
}
