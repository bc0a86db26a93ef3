// Elements of a widget's page.

const SVG = "http://www.w3.org/2000/svg"; // a name, which nothing fetches

/**
 * An HTML element. An attribute that is `false` is left out, one that is `true` stands without a
 * value.
 */
export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** An SVG element, with attributes as in `h`. */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

/** Sets a text only where it differs, because setting it makes the browser lay it out again. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
