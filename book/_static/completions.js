// One pair of completions at a time, chosen by arm, problems and outcome (bi/live/completions.py).
live.each(".completions", (part) => {
  const pairs = [...part.querySelectorAll(".live-pair")];
  if (!pairs.length) return;
  const distinct = (name) => [...new Set(pairs.map((pair) => pair.dataset[name]))];
  const filters = ["arm", "split", "outcome"].map((name) => ({ name, values: distinct(name), at: 0 }));
  let at = 0;
  const back = live.make("button", { type: "button", click: () => go(at - 1) }, "Previous problem");
  const next = live.make("button", { type: "button", click: () => go(at + 1) }, "Next problem");
  const told = live.make("p", { class: "live-told", role: "status" });
  const labels = { arm: "Arm", split: "Problems", outcome: "Outcome" };
  part.prepend(
    live.make("div", { class: "live-controls" }, ...filters.map((filter) =>
      live.choice(labels[filter.name], filter.values, (chosen) => { filter.at = chosen; go(0); }))),
    live.make("div", { class: "live-buttons" }, back, next), told);
  part.classList.add("live-on");

  function go(place) {
    const found = pairs.filter((pair) => filters.every(({ name, values, at: chosen }) =>
      pair.dataset[name] === values[chosen]));
    at = Math.max(0, Math.min(place, found.length - 1));
    pairs.forEach((pair) => { pair.hidden = pair !== found[at]; pair.open = true; });
    back.disabled = at === 0;
    next.disabled = at >= found.length - 1;
    told.textContent = found.length
      ? `${found[at].dataset.told} This is number ${at + 1} of the ${found.length} kept here.`
      : "No test problem had this outcome.";
  }

  go(0);
});
