// A page is printed in its light theme, whatever the screen shows, and with all of its figures.

const page = document.documentElement;
let onScreen = null; // the theme to return to

function dressForPaper() {
  onScreen ??= page.dataset.theme;
  page.dataset.theme = "light";
}
function undress() {
  if (onScreen !== null) page.dataset.theme = onScreen;
  onScreen = null;
}
addEventListener("beforeprint", dressForPaper);
addEventListener("afterprint", undress);
// Safari tells it by the medium alone.
matchMedia("print").addEventListener("change", ({ matches }) => {
  if (matches) dressForPaper();
  else undress();
});

// Figures below the screen load as the reader comes near them, which a printer does not. So they are
// fetched once everything else is there. Paper shows the light drawing of each.
const whenIdle = globalThis.requestIdleCallback ?? ((task) => setTimeout(task, 1000));
addEventListener("load", () => {
  whenIdle(() => {
    for (const image of document.querySelectorAll("img.only-light[loading=lazy]")) {
      image.loading = "eager";
    }
  });
});
