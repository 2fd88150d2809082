// One drawing of a problem's graph, stepped through while its chain of thought is written (bi/live/graph_steps.py).
live.each(".graph-steps", (part) => {
  const problems = [...part.querySelectorAll(".live-problem")].map((place) => ({ place, ...live.data(place) }));
  const names = ["reflection", "analysis", "subgoal"];
  const looks = problems[0].looks;
  const styled = new Set(Object.values(looks).flatMap(Object.keys));
  let problem = problems[0];
  let at = 0;

  const boxes = names.map((name) => live.make("input", { type: "checkbox", name, change: switched }));
  const labels = names.map((name, index) => live.make("label", {}, boxes[index], ` ${name}`));
  const back = live.make("button", { type: "button", click: () => go(at - 1) }, "Back");
  const next = live.make("button", { type: "button", click: () => go(at + 1) }, "Next step");
  const buttons = [live.make("button", { type: "button", click: () => go(0) }, "Start over"), back, next,
    live.make("button", { type: "button", click: () => go(chain().length - 1) }, "To the end")];
  const told = live.make("p", { class: "live-told", role: "status" });
  const drawing = live.make("div", { class: "live-drawing table-scroll", tabindex: 0, role: "region",
    "aria-label": "Graph of the problem" });
  const said = live.make("p", { class: "live-said" });
  const lines = live.make("ol", { class: "live-lines" });
  part.prepend(
    live.make("div", { class: "live-controls" },
      live.choice("Problem", problems.map(({ place }) => place.dataset.title), chosen),
      live.make("fieldset", {}, live.make("legend", {}, "Behaviours"), ...labels)),
  );
  part.append(live.make("div", { class: "live-stage" },
    live.make("div", { class: "live-buttons" }, ...buttons), told, drawing, said, lines));
  part.classList.add("live-on");

  function chain() {
    return problem.chains[names.filter((_, index) => boxes[index].checked).join("+")];
  }

  function chosen(number) {
    problem = problems[number];
    problems.forEach(({ place }) => { place.hidden = place !== problem.place; });
    drawing.replaceChildren(problem.place.querySelector("svg").cloneNode(true));
    go(0);
  }

  // Another chain of thought: stay where as many quantities have been solved.
  function switched() {
    const before = shown.solved;
    go(chain().findIndex((step) => step.solved >= before));
  }

  let shown;
  function go(place) {
    const steps = chain();
    at = Math.max(0, Math.min(place, steps.length - 1));
    shown = steps[at];
    back.disabled = at === 0;
    next.disabled = at === steps.length - 1;
    told.textContent = `${shown.told} (${at} of ${steps.length - 1} steps)`;
    said.textContent = shown.said;
    draw(problem.frames[shown.frame]);
    lines.replaceChildren(...steps.slice(1, at + 1).map((step, index) =>
      live.make("li", index + 1 === at ? { "aria-current": "step" } : {},
        ...step.behaviors.map((name) => live.make("span", { class: "live-mark" }, name)), step.line)));
  }

  function draw(frame) {
    drawing.querySelector("svg").setAttribute("aria-label", shown.said);
    drawing.querySelectorAll("g.node").forEach((node, index) => {
      const [label, state, words] = frame[index];
      const outline = node.querySelector("rect");
      styled.forEach((name) => outline.removeAttribute(name));
      Object.entries(looks[state]).forEach(([name, value]) => outline.setAttribute(name, value));
      const texts = node.querySelectorAll("text");
      texts[0].textContent = label;
      texts[1].textContent = words;
    });
  }

  chosen(0);
});
