// A page opened from a folder may not read its neighbours: there the search lists titles without excerpts.
if (location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS !== "undefined") {
  DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
}

// A formula wider than the page can be scrolled, by keyboard too: it takes the focus as long as it is too wide.
window.addEventListener("load", () => {
  const mark = () => document.querySelectorAll("div.math, div.math mjx-container").forEach((formula) => {
    if (formula.scrollWidth > formula.clientWidth) formula.tabIndex = 0;
    else formula.removeAttribute("tabindex");
  });
  const set = window.MathJax && MathJax.startup && MathJax.startup.promise;
  Promise.resolve(set).then(mark);
  window.addEventListener("resize", mark);
});
