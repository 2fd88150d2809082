// A point on the curve of the coefficient, and one GRPO step on a softmax policy, both under sliders
// (bi/live/group_gradient.py, formulas in live_math.js).
const liveNumber = (value, digits = 2) => (value < 0 ? "\u2212" : "+") + Math.abs(value).toFixed(digits);

live.each(".coefficient", (part) => {
  const { group, left, top, wide, high } = live.data(part);
  const plot = part.querySelector("svg");
  const shape = (tag, attributes) => {
    const element = document.createElementNS(plot.namespaceURI, tag);
    Object.entries(attributes).forEach(([name, value]) => element.setAttribute(name, value));
    plot.append(element);
    return element;
  };
  const stem = shape("line", { stroke: "currentColor", "stroke-width": 1.5, "stroke-dasharray": "4 3", y2: top + high });
  const point = shape("circle", { r: 6, fill: "currentColor" });
  const told = live.make("p", { class: "live-told", role: "status" });
  let alpha = 0.1;
  let rollouts = group;
  const show = () => {
    const value = liveMath.coefficient(alpha);
    const x = left + wide * alpha;
    const y = top + high * (1 - 2 * value);
    point.setAttribute("cx", x);
    point.setAttribute("cy", y);
    stem.setAttribute("x1", x);
    stem.setAttribute("x2", x);
    stem.setAttribute("y1", y);
    const weights = value > 0
      ? `A right completion weighs ${liveNumber((1 - alpha) / value)}, a wrong one ${liveNumber(-alpha / value)}.`
      : "Every completion ends alike, so none has an advantage.";
    told.textContent = `At α = ${alpha.toFixed(2)} the coefficient is ${value.toFixed(3)}. ${weights} ` +
      `${rollouts} rollouts have mixed outcomes with probability ${liveMath.mixed(alpha, rollouts).toFixed(3)}.`;
  };
  part.prepend(live.make("div", { class: "live-controls" },
    live.slider("Rollout accuracy α", { min: 0, max: 1, step: 0.01, value: alpha, show: (v) => v.toFixed(2) },
      (value) => { alpha = value; show(); }),
    live.slider("Rollouts in a group", { min: 2, max: 64, step: 1, value: rollouts },
      (value) => { rollouts = value; show(); })));
  plot.parentElement.after(told);
  part.classList.add("live-on");
  show();
});

live.each(".softmax-step", (part) => {
  const start = live.data(part);
  let { rate } = start;
  const logits = [...start.logits];
  const right = [...start.right];
  const rows = [...part.querySelectorAll("tbody tr")];
  const told = part.querySelector(".live-told");
  const share = (cell, value) => {
    const bar = live.make("span", { class: "live-bar", "aria-hidden": "true" });
    bar.style.width = `${Math.max(1, Math.round(72 * value))}px`;
    cell.replaceChildren(value.toFixed(3), " ", bar);
  };
  const boxes = right.map((is, index) => live.make("input", { type: "checkbox", checked: is,
    "aria-label": `${start.completions[index]} is right`,
    change: () => { right[index] = boxes[index].checked; show(); } }));
  const words = right.map(() => live.make("span", {}));
  rows.forEach((row, index) => row.cells[1].replaceChildren(live.make("label", {}, boxes[index], " ", words[index])));
  const show = () => {
    const step = liveMath.step(logits, right, rate);
    rows.forEach((row, index) => {
      words[index].textContent = right[index] ? "right" : "wrong";
      share(row.cells[2], step.chances[index]);
      row.cells[3].textContent = liveNumber(step.advantages[index]);
      row.cells[4].textContent = liveNumber(step.gradient[index], 3);
      share(row.cells[5], step.after[index]);
    });
    const silent = step.spread === 0 ? " All outcomes are equal: the group is silent, and nothing moves." : "";
    told.textContent = `Rollout accuracy ${step.accuracy.toFixed(3)}, coefficient ${step.spread.toFixed(3)}; after a ` +
      `step of size ${rate} the accuracy is ${step.accuracyAfter.toFixed(3)}.${silent}`;
  };
  part.prepend(live.make("div", { class: "live-controls" },
    ...logits.map((logit, index) => live.slider(`Logit of ${start.completions[index]}`,
      { min: -4, max: 4, step: 0.1, value: logit, show: (v) => liveNumber(v, 1) },
      (value) => { logits[index] = value; show(); })),
    live.slider("Step size", { min: 0, max: 8, step: 0.1, value: rate, show: (v) => v.toFixed(1) },
      (value) => { rate = value; show(); })));
  part.classList.add("live-on");
  show();
});
