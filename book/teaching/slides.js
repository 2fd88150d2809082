// Keys: right, space, page down: next; left, page up: back; home, end; n: notes; a: all slides below each other.
(function () {
  "use strict";
  const root = document.documentElement;
  const slides = Array.from(document.querySelectorAll(".slide"));
  const where = document.querySelector("#bar .where");
  let now = 0;

  function show(number, write) {
    now = Math.max(0, Math.min(slides.length - 1, number));
    slides.forEach((slide, index) => slide.classList.toggle("now", index === now));
    where.textContent = (now + 1) + " of " + slides.length;
    if (write) history.replaceState(null, "", "#" + (now + 1));
    if (root.classList.contains("shown")) window.scrollTo(0, 0);
  }

  function fromAddress() {
    const number = parseInt(location.hash.slice(1), 10);
    show(number > 0 ? number - 1 : 0, false);
  }

  function notes() {
    const all = Array.from(document.querySelectorAll("details.notes"));
    const open = !all.some((each) => each.open);
    all.forEach((each) => { each.open = open; });
  }

  const keys = {
    ArrowRight: () => show(now + 1, true), PageDown: () => show(now + 1, true), " ": () => show(now + 1, true),
    ArrowLeft: () => show(now - 1, true), PageUp: () => show(now - 1, true),
    Home: () => show(0, true), End: () => show(slides.length - 1, true),
    n: notes, a: () => { root.classList.toggle("shown"); show(now, false); },
  };
  document.addEventListener("keydown", (event) => {
    const busy = event.ctrlKey || event.metaKey || event.altKey || /^(A|BUTTON|SUMMARY)$/.test(event.target.tagName);
    if (!busy && keys[event.key]) { event.preventDefault(); keys[event.key](); }
  });
  document.querySelector("#bar .back").addEventListener("click", () => show(now - 1, true));
  document.querySelector("#bar .next").addEventListener("click", () => show(now + 1, true));
  document.querySelector("#bar .text").addEventListener("click", notes);
  window.addEventListener("hashchange", fromAddress);
  // Mathematics in hidden slides would be measured as having no size, so slides are hidden when it is set.
  const ready = window.MathJax && window.MathJax.startup ? window.MathJax.startup.promise : Promise.resolve();
  ready.then(() => { root.classList.add("shown"); fromAddress(); });
})();
