"use strict";
// Laws as laws/answer/portable.py packs them: losses, sizes that reach a loss, intervals, the best
// share; function by function the arithmetic of the laws room. A law's rows are the fit's
// coefficients (row 0), then its replicates'.
window.synthlawLaws = (function () {
  const STEPS = 501, SAME = 1.05;
  const DOUBLINGS = 40, HALVINGS = 60;
  const NAMES = ["params", "tokens"];

  function column(packed, rows) {
    if (typeof packed === "number") return new Float64Array(rows).fill(packed);
    const bytes = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
    return new Float64Array(bytes.buffer);
  }

  function unpack(law) {
    if (law.columns) return law;
    law.columns = law.vectors.map((packed) => column(packed, law.rows));
    law.normal = column(law.draws, 1 << 14);
    for (const rival of law.rivals || []) unpack(rival);
    return law;
  }

  const reads = (law, name) => law.form.inputs.includes(name);
  const map = (values, change) => Float64Array.from(values, change);
  const finite = (value) => (Number.isFinite(value) ? value : null);

  // Row r of a law's coefficients: one without replicates repeats its only row.
  const at = (law, k, r) => law.columns[k][law.rows === 1 ? 0 : r];

  function binomial(n, k) {
    let result = 1;
    for (let i = 1; i <= k; i += 1) result = (result * (n - k + i)) / i;
    return Math.round(result);
  }

  function bernstein(basis, row, share) {
    const s = share ** basis[1];
    let degree = 0;
    while (((degree + 1) * (degree + 2)) / 2 <= row) degree += 1;
    const k = row - (degree * (degree + 1)) / 2;
    return binomial(degree, k) * s ** k * (1 - s) ** (degree - k);
  }

  // What the shares make of a form's parts, worked out once for all rows.
  function weightsOf(law, inputs) {
    const form = law.form;
    if (form.kind !== "power" || !form.basis) return null;
    return form.parts.map(([, row]) => (row < 0 ? 1 : bernstein(form.basis, row, inputs.ratio)));
  }

  // The parts of row r at `inputs`, given to `add(part, variable, its exponent)`.
  function eachPart(law, inputs, weights, r, add) {
    const form = law.form;
    if (form.kind === "additive") {
      const K = 2 + form.sizes.length;
      const share = inputs.ratio;
      add(at(law, 0, r), null, 0);
      const natural = share < 1
        ? Math.exp(at(law, K + 1, r) * Math.log1p(-Math.min(share, 1 - 1e-16))) : 0;
      const synthetic = share > 0
        ? Math.exp(at(law, K, r) + at(law, K + 2, r) * Math.log(Math.max(share, 1e-300))) : 0;
      add(at(law, 1, r) / (natural + synthetic), null, 0);
      form.sizes.forEach((name, i) => {
        const exponent = at(law, K + 3 + i, r);
        const log = Math.log(inputs[name] / law.unit[name]);
        add(at(law, 2 + i, r) * Math.exp(-exponent * log), name, exponent);
      });
      return;
    }
    const K = form.parts.length;
    for (let k = 0; k < K; k += 1) {
      const [name, place] = form.terms[form.parts[k][0]];
      const exponent = name === null ? 0 : at(law, K + place, r);
      const power = name === null ? 1
        : Math.exp(-exponent * Math.log(inputs[name] / law.unit[name]));
      add(at(law, k, r) * power * (weights ? weights[k] : 1), name, exponent);
    }
  }

  function evaluate(law, rows, inputs) {
    const weights = weightsOf(law, inputs);
    const losses = new Float64Array(rows);
    for (let r = 0; r < rows; r += 1) {
      eachPart(law, inputs, weights, r, (part) => { losses[r] += part; });
    }
    return losses;
  }

  // Tokens at which each row reaches `target`; infinite where it never does.
  function sizeToReach(law, target, others) {
    const inputs = { ...others, tokens: law.unit.tokens };
    const weights = weightsOf(law, inputs);
    return map(target, (loss, r) => {
      let rest = 0, scale = 0, exponent = 0;
      eachPart(law, inputs, weights, r, (part, name, power) => {
        if (name === "tokens") { scale += part; exponent = power; } else rest += part;
      });
      if (!(loss > rest)) return Infinity;
      return (scale / (loss - rest)) ** (1 / exponent) * law.unit.tokens;
    });
  }

  function worth(tokens, share, natural, decay) {
    if (natural === null) return tokens;
    const drawn = (1 - share) * tokens;
    const repeats = Math.max(drawn / natural - 1, 0);
    return share * tokens + Math.min(drawn, natural) - natural * decay * Math.expm1(-repeats / decay);
  }

  function tokensWorth(fresh, share, natural, decay) {
    if (natural === null) return fresh;
    return map(fresh, (wanted) => {
      if (!Number.isFinite(wanted)) return Infinity;
      if (share <= 0 && !(wanted < natural * (1 + decay))) return Infinity;
      let low = wanted, high = wanted;
      const short = (tokens) => worth(tokens, share, natural, decay) < wanted;
      for (let i = 0; i < DOUBLINGS && short(high); i += 1) high *= 2;
      if (short(high)) return Infinity;
      for (let i = 0; i < HALVINGS && high - low > 1e-12 * high; i += 1) {
        const middle = 0.5 * (low + high);
        if (short(middle)) low = middle; else high = middle;
      }
      return high;
    });
  }

  const sizes = (ask, share) =>
    ({ params: ask.params, tokens: worth(ask.tokens, share, ask.natural, ask.decay) });

  function extrapolation(law, ask) {
    const factors = {};
    for (const name of NAMES) {
      let ends = null;
      if (name in law.at && !reads(law, name)) ends = [law.at[name], law.at[name]];
      else if (name in law.ranges && reads(law, name)) ends = law.ranges[name];
      if (!ends) continue;
      const factor = Math.max(ask[name] / ends[1], ends[0] / ask[name], 1);
      factors[name] = factor > SAME ? factor : 1;
    }
    return factors;
  }

  // How far params x tokens lies beyond every run's.
  function computeBeyond(law, ask) {
    if (!law.ranges.compute) return 1;
    const factor = ask.params * ask.tokens / law.ranges.compute[1];
    return factor > SAME ? factor : 1;
  }

  // Factors that widen the replicates by the error of extrapolation; row 0 is the fit's own.
  function beyond(law, losses, ask) {
    const factors = new Float64Array(losses.length).fill(1);
    let wanted = 0;
    for (const [name, factor] of Object.entries(extrapolation(law, ask))) {
      wanted += (law.drift[name] * Math.log(factor)) ** 2;
    }
    wanted = Math.max(wanted, (law.drift.compute * Math.log(computeBeyond(law, ask))) ** 2);
    if (losses.length < 3 || wanted === 0) return factors;
    const logs = [];
    for (let r = 1; r < losses.length; r += 1) {
      const log = Math.log(losses[r]);
      if (!Number.isNaN(log)) logs.push(log);
    }
    const mean = logs.reduce((sum, log) => sum + log, 0) / logs.length;
    const known = logs.reduce((sum, log) => sum + (log - mean) ** 2, 0) / logs.length;
    const missing = Math.sqrt(Math.max(wanted - (Number.isFinite(known) ? known : 0), 0));
    for (let r = 1; r < losses.length; r += 1) factors[r] = Math.exp(missing * law.normal[r - 1]);
    return factors;
  }

  function quantile(sorted, q, linear) {
    const place = q * (sorted.length - 1);
    if (!linear) return sorted[Math.round(place)];
    const below = Math.floor(place), t = place - below;
    const a = sorted[below], b = sorted[Math.min(below + 1, sorted.length - 1)];
    return t >= 0.5 ? b - (b - a) * (1 - t) : a + (b - a) * t;
  }

  function interval(law, values) {
    const sorted = map(values, (value) => (Number.isNaN(value) ? Infinity : value)).sort();
    const linear = Number.isFinite(sorted[0]) && Number.isFinite(sorted[sorted.length - 1]);
    return [quantile(sorted, law.tail, linear), quantile(sorted, 1 - law.tail, linear)];
  }

  const spread = (law, values) =>
    (values.length < 2 ? null : interval(law, values.subarray(1)).map(finite));

  // Where a row of losses over the shares is smallest, refined by a parabola.
  function minimum(grid, losses) {
    let j = 0;
    for (let i = 1; i < losses.length; i += 1) if (losses[i] < losses[j]) j = i;
    if (j === 0 || j === losses.length - 1) return grid[j];
    const bend = losses[j - 1] - 2 * losses[j] + losses[j + 1];
    const shift = bend > 0 ? (0.5 * (losses[j - 1] - losses[j + 1])) / bend : 0;
    return grid[j] + Math.max(-1, Math.min(1, shift)) * (grid[1] - grid[0]);
  }

  function bestRatio(law, ask) {
    const [low, high] = law.shares;
    const grid = Float64Array.from({ length: STEPS }, (_, i) =>
      (i === STEPS - 1 ? high : low + (i * (high - low)) / (STEPS - 1)));
    const places = [...grid].map((ratio) => ({ ...sizes(ask, ratio), ratio }));
    const table = [law, ...law.rivals].map((form) => places.map((p) => evaluate(form, form.rows, p)));
    const own = table[0].map((losses) => losses[0]);
    const best = minimum(grid, own);
    if (law.rows === 1) return { best, interval: null, good: null };
    const minima = [], gaps = grid.length ? [...grid].map(() => []) : [];
    const start = own.indexOf(Math.min(...own));
    for (const losses of table) {
      for (let r = losses[0].length > 1 ? 1 : 0; r < losses[0].length; r += 1) {
        minima.push(minimum(grid, losses.map((row) => row[r])));
        for (let i = 0; i < STEPS; i += 1) gaps[i].push(losses[i][r] - losses[start][r]);
      }
    }
    const fine = (i) => interval(law, gaps[i])[0] <= 0;
    let first = start, last = start;
    while (first > 0 && fine(first - 1)) first -= 1;
    while (last < STEPS - 1 && fine(last + 1)) last += 1;
    return { best, interval: interval(law, minima), good: [grid[first], grid[last]] };
  }

  return { NAMES, unpack, reads, map, finite, evaluate, sizeToReach, sizes, tokensWorth,
    extrapolation, beyond, interval, spread, bestRatio };
})();
