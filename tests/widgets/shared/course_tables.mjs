// Lets node import "course:models/budget" and its like: the tables of Python that a widget is
// joined with before a browser sees it. tests/node.py writes them into the folder COURSE_TABLES,
// and loads this file first.
import { registerHooks } from "node:module";
import { pathToFileURL } from "node:url";

const PREFIX = "course:";

registerHooks({
  resolve(specifier, context, next) {
    if (!specifier.startsWith(PREFIX)) return next(specifier, context);
    const file = `${process.env.COURSE_TABLES}/${specifier.slice(PREFIX.length)}.mjs`;
    return next(pathToFileURL(file).href, context);
  },
});
