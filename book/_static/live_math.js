// The formulas that sliders need, as bi/influence/softmax.py has them; tests/test_live_math.py compares the two.
const liveMath = {
  coefficient: (alpha) => Math.sqrt(alpha * (1 - alpha)),

  mixed: (alpha, group) => 1 - alpha ** group - (1 - alpha) ** group,

  softmax(logits) {
    const largest = Math.max(...logits);
    const weights = logits.map((logit) => Math.exp(logit - largest));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return weights.map((weight) => weight / total);
  },

  // One GRPO step on a prompt whose completions have these logits; `right` says which are right.
  step(logits, right, rate) {
    const chances = liveMath.softmax(logits);
    const sum = (values) => values.reduce((total, value, index) => total + (right[index] ? value : 0), 0);
    const accuracy = right.every(Boolean) ? 1 : right.some(Boolean) ? sum(chances) : 0;
    const spread = liveMath.coefficient(accuracy);
    const advantages = right.map((is) => (spread > 0 ? ((is ? 1 : 0) - accuracy) / spread : 0));
    const gradient = chances.map((chance, index) => chance * advantages[index]);
    const after = liveMath.softmax(logits.map((logit, index) => logit + rate * gradient[index]));
    return { chances, accuracy, spread, advantages, gradient, after, accuracyAfter: sum(after) };
  },
};

if (typeof module !== "undefined") module.exports = liveMath;
