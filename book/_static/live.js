// What the interactive parts share. Each part finds its places in the page by class, builds its controls there, and
// leaves the page as it was where something is missing: without scripts the text below the controls says the same.
const live = {
  // An element with attributes (a function is an event handler) and children (elements or texts).
  make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (typeof value === "function") element.addEventListener(name, value);
      else if (value === true) element.setAttribute(name, "");
      else if (value !== false && value !== undefined) element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  },

  // A labelled choice among texts; `changed` gets the number of the one chosen.
  choice(label, texts, changed) {
    const options = texts.map((text, index) => live.make("option", { value: index }, text));
    const select = live.make("select", { change: () => changed(select.selectedIndex) }, ...options);
    return live.make("label", { class: "live-choice" }, live.make("span", {}, label), select);
  },

  // A labelled slider with its value beside it as `show` words it; `changed` gets the number.
  slider(label, { min, max, step, value, show = String }, changed) {
    const output = live.make("output", {}, show(value));
    const input = live.make("input", { type: "range", min, max, step, value, "aria-valuetext": show(value),
      input: () => {
        output.textContent = show(Number(input.value));
        input.setAttribute("aria-valuetext", show(Number(input.value)));
        changed(Number(input.value));
      } });
    return live.make("label", { class: "live-slider" }, live.make("span", {}, label), input, output);
  },

  data(place) {
    return JSON.parse(place.querySelector('script[type="application/json"]').textContent);
  },

  each(selector, start) {
    document.addEventListener("DOMContentLoaded", () => document.querySelectorAll(selector).forEach(start));
  },
};
