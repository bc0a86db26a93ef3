// A table that is wider than its place scrolls there, and must then be reachable by keyboard. The
// theme sees to that for code alone.

const scrolls = (box) => box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight;
const watching = new ResizeObserver((changes) => {
  for (const { target } of changes) {
    if (scrolls(target)) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});
const tables = ".pst-scrollable-table-container, .figure-numbers .numbers";
for (const box of document.querySelectorAll(tables)) watching.observe(box);
