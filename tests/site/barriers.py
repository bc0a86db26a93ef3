"""axe-core on one page in several states: closed or answered, on a desktop or a phone.

Most of axe's time goes into its two rules on colours, which look for what lies behind each text.
Texts of a page that look alike have the same contrast: the same colour, size, weight and ground,
and the same of all elements around them. So a text is measured when it looks like none that was
measured on this page before, and in one state of the page every text is, whatever it looks like.
Two kinds are apart: words of code lie on their block's ground and nowhere else, so those that look
alike are measured once; and explorers lay texts over drawings, so theirs are measured every time.
"""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe

# Without preload axe does not fetch the style sheets again, which a page on file:// may not do; and
# it need not list the thousands of elements that pass.
OPTIONS = {"preload": False, "resultTypes": ["violations"]}
COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"]}
# The rules on colours look at what is marked; a link, which may hold its text in other elements,
# also at what is marked in it.
CONFIGURE = """() => axe.configure({ rules: [
  { id: "color-contrast", selector: "[data-measured]" },
  { id: "link-in-text-block", selector: "a[href]:is([data-measured], :has([data-measured]))" },
] })"""
MARK = """(everyText) => {
  const seen = (window.looksSeen ??= new Set());
  const looks = new Map();
  const lookOf = (node) => {
    if (node === null) return "";
    if (!looks.has(node)) {
      const s = getComputedStyle(node);
      const own = [
        s.color, s.backgroundColor, s.backgroundImage, s.opacity, s.filter, s.mixBlendMode,
        s.fontSize, s.fontWeight, s.textDecorationLine, s.textShadow, s.position, s.transform,
      ].join() + ";";
      const around = lookOf(node.parentElement);
      looks.set(node, around.endsWith(own) ? around : around + own);
    }
    return looks.get(node);
  };
  const hasText = (node) =>
    [...node.childNodes].some((part) => part.nodeType === Node.TEXT_NODE && part.data.trim());
  const isSeen = { opacityProperty: true, visibilityProperty: true };
  for (const node of document.querySelectorAll("body, body *")) {
    let measured = node.matches("input, select, textarea") || node.closest(".course-widget");
    if (hasText(node) && node.checkVisibility(isSeen)) {
      const look = lookOf(node);
      measured ||= !seen.has(look) || (everyText && !node.closest("pre"));
      seen.add(look);
    }
    node.toggleAttribute("data-measured", Boolean(measured));
  }
}"""


class Barriers:
    """What keeps readers from a page, by axe's rules."""

    def __init__(self, page) -> None:
        self.page = page
        page.evaluate(Axe().axe_script)
        page.evaluate(CONFIGURE)

    def found(self, *, every_text: bool = False, only_colours: bool = False) -> list[str]:
        """The violations of any severity in the page's present state, one line each.

        every_text: measure the colours of all texts but code, and not only of new ones.
        only_colours: leave out all other rules, where the same elements are looked at in another
        theme.
        """
        self.page.evaluate(MARK, every_text)
        run = "(options) => axe.run(document, options).then((result) => result.violations)"
        options = OPTIONS | (COLOURS if only_colours else {})
        violations = self.page.evaluate(run, options)
        where = {v["id"]: [node["target"] for node in v["nodes"][:3]] for v in violations}
        return [f"{v['id']} ({v['impact']}): {v['help']}: {where[v['id']]}" for v in violations]
