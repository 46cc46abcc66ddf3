"use strict";
// The answer of laws/answer (advice.recommend): mixtures beside the natural one, what they gain and
// cost. tests/report/test_report_explorer.py holds this and that together to 1e-6.
window.synthlawAnswer = (function () {
  const { NAMES, unpack, reads, map, finite, evaluate, sizeToReach, sizes, tokensWorth,
    extrapolation, beyond, spread, bestRatio } = window.synthlawLaws;
  const CONVINCING = 0.9, CLOSE = 1.05, NEAR = 0.05;

  const portion = (values, test) => {
    if (values.length < 2) return null;
    let count = 0;
    for (let r = 1; r < values.length; r += 1) if (test(values[r])) count += 1;
    return count / (values.length - 1);
  };
  const minus = (a, b) => map(a, (value, r) => value - b[r]);

  // A mixture at the question, `rows` of its vectors.
  function optionOf(predictor, rows, ask) {
    const share = predictor.share || 0;
    const inputs = { ...sizes(ask, share), ratio: predictor.share };
    const plain = evaluate(predictor.law, rows, inputs);
    const factors = beyond(predictor.law, plain, ask);
    return { ...predictor, share, given: predictor.share, rows, factors,
      losses: map(plain, (loss, r) => loss * factors[r]), base: null };
  }

  function nearest(choices, name, value) {
    const distance = (choice) => {
      const place = choice.near[name];
      return place === null || place === undefined ? Infinity : Math.abs(Math.log(place / value));
    };
    return choices.reduce((best, choice) => (distance(choice) < distance(best) ? choice : best));
  }

  function predictorOf(choices, ask) {
    let left = choices;
    if ("params" in choices[0].near) {
      const place = nearest(left, "params", ask.params).near.params;
      left = left.filter((choice) => choice.near.params === place);
    }
    const law = unpack("tokens" in left[0].near ? nearest(left, "tokens", ask.tokens) : left[0]);
    return { name: law.mixture, type: law.type, share: law.share, kind: law.kind, law,
      natural: law.natural };
  }

  // As many rows as the shortest of laws with replicates has.
  function rowsOf(...laws) {
    const longest = laws.map((law) => law.rows).filter((rows) => rows > 1);
    return longest.length ? Math.min(...longest) : 1;
  }

  function mixtureOptions(plain, ask, baseline) {
    const bases = plain.filter((p) => (baseline === null ? p.natural : p.name === baseline));
    if (bases.length !== 1) throw new Error("no single natural mixture to compare with");
    const base = bases[0];
    const found = plain.filter((p) => p !== base).map((p) => {
      const rows = rowsOf(base.law, p.law);
      return { ...optionOf(p, rows, ask), base: optionOf(base, rows, ask) };
    });
    for (const option of found) option.good = sharesAsGood(option, found);
    return found;
  }

  function sharesAsGood(option, options) {
    const good = [];
    for (const other of options) {
      if (!option.type || other.type !== option.type || other.given === null) continue;
      const rows = Math.min(other.losses.length, option.losses.length);
      const gap = minus(other.losses.subarray(0, rows), option.losses.subarray(0, rows));
      const ends = spread(option.law, gap);
      if (gap[0] <= 0 || (ends && ends[0] !== null && ends[0] <= 0)) good.push(other.given);
    }
    return good.length ? [Math.min(...good), Math.max(...good)] : null;
  }

  function ratioOptions(laws, ask) {
    return laws.map((law) => {
      const found = bestRatio(unpack(law), ask);
      const type = law.type || law.mixture;
      const name = `${(100 * found.best).toFixed(0)}% ${type}`;
      const own = { name, type, share: found.best, kind: "ratio", law, natural: false };
      const option = { ...optionOf(own, law.rows, ask), interval: found.interval, good: found.good };
      if (law.shares[0] === 0) {
        const base = { name: "natural", type: "natural", share: 0, kind: "ratio", law };
        option.base = optionOf(base, law.rows, ask);
      }
      return option;
    });
  }

  function chances(options) {
    const bases = options.map((option) => option.base).filter((base) => base !== null);
    const rows = Math.min(...[...options, ...bases].map((option) => option.losses.length));
    if (rows < 2) return { each: options.map(() => null), base: null };
    const wins = new Float64Array(options.length + 1);
    for (let r = 1; r < rows; r += 1) {
      let winner = 0;
      options.forEach((option, i) => {
        if (option.losses[r] < options[winner].losses[r]) winner = i;
      });
      const least = Math.min(...bases.map((base) => base.losses[r]));
      wins[bases.length && least < options[winner].losses[r] ? options.length : winner] += 1;
    }
    const chance = map(wins, (count) => count / (rows - 1));
    return { each: [...chance.subarray(0, options.length)],
      base: bases.length ? chance[options.length] : null };
  }

  function tokensFor(option, target, ask) {
    if (!reads(option.law, "tokens")) return map(target, () => NaN);
    const fresh = sizeToReach(option.law, target, { params: ask.params, ratio: option.share });
    return tokensWorth(fresh, option.share, ask.natural, ask.decay);
  }

  const neededBy = (option, ask) => (option.base === null ? map(option.losses, () => NaN)
    : tokensFor(option, map(option.base.losses, (loss, r) => loss / option.factors[r]), ask));

  function account(ask, saved, generated, flop) {
    const flops = map(saved, (tokens) => flop * ask.params * tokens);
    const result = { training_tokens_saved: finite(saved[0]),
      training_flops_saved: finite(flops[0]), tokens_generated: finite(generated[0]) };
    const spent = map(generated, (tokens) => (tokens / 1e6) * (ask.generator ?? NaN));
    if (ask.training !== null) {
      const money = map(flops, (value) => value * ask.training);
      result.training_money_saved = finite(money[0]);
      result.break_even_generator_cost = finite(money[0] / (generated[0] / 1e6));
      if (ask.generator !== null) {
        result.generation_money_spent = finite(spent[0]);
        result.net_money_saved = finite(money[0] - spent[0]);
        result.probability_saves_money = portion(minus(money, spent), (net) => net > 0);
      }
    } else if (ask.generator !== null) result.generation_money_spent = finite(spent[0]);
    return result;
  }

  function equalLoss(option, needed, ask, flop) {
    if (!Number.isFinite(needed[0])) return null;
    const generated = map(needed, (tokens) => {
      const made = option.share * tokens;
      return Number.isNaN(made) ? 0 : made;
    });
    return account(ask, map(needed, (tokens) => ask.tokens - tokens), generated, flop);
  }

  function breakEven(option, ask, flop) {
    const base = option.base;
    const priced = ask.generator !== null && ask.training !== null;
    if (base === null || !priced || !reads(option.law, "tokens")) return null;
    const pays = (tokens) => {
      const there = { ...ask, tokens };
      const loss = evaluate(base.law, 1, { ...sizes(there, 0), ratio: base.given });
      const needed = tokensFor(option, loss, there);
      if (!Number.isFinite(needed[0])) return false;
      const done = account(ask, [tokens - needed[0]], [option.share * needed[0]], flop);
      return (done.net_money_saved || 0) > 0;
    };
    const top = Math.log10(ask.tokens * 1e3), end = Math.log10(ask.tokens / 100);
    const budgets = Array.from({ length: 60 }, (_, i) => 10 ** (top + (i * (end - top)) / 59));
    budgets[0] = ask.tokens * 1e3;
    budgets[59] = ask.tokens / 100;
    const first = budgets.findIndex((tokens) => !pays(tokens));
    if (first === 0) return null;
    if (first < 0) return budgets[59];
    let low = budgets[first], high = budgets[first - 1];
    while (high > low * 1.0001) {
      const middle = Math.sqrt(low * high);
      if (pays(middle)) high = middle; else low = middle;
    }
    return high;
  }

  const epochs = (ask, share) =>
    (ask.natural === null ? null : ((1 - share) * ask.tokens) / ask.natural);

  function rowOf(option, chance, ask, flop) {
    const law = option.law, gap = option.base === null ? null : minus(option.losses, option.base.losses);
    const needed = neededBy(option, ask);
    const forward = map(needed, (tokens) => ask.tokens / tokens);
    const smallest = (law.ranges.tokens || [0])[0];
    return {
      mixture: option.name, synthetic_type: option.type, synthetic_ratio: option.given,
      ratio_interval: option.interval || null, ratios_as_good: option.good, law: option.kind,
      loss: option.losses[0], interval: spread(law, option.losses),
      difference: gap === null ? null : gap[0],
      difference_interval: gap === null ? null : spread(law, gap),
      probability_best: chance, speedup: finite(forward[0]),
      speedup_interval: Number.isFinite(forward[0]) ? spread(law, forward) : null,
      probability_faster: portion(forward, (value) => value > 1),
      tokens_to_baseline_loss: finite(needed[0]), smallest_run: smallest,
      needs_less_than_any_run: needed[0] < smallest,
      tokens_to_generate: option.share * ask.tokens, natural_epochs: epochs(ask, option.share),
      fresh_token_worth: sizes(ask, option.share).tokens,
      equal_loss: equalLoss(option, needed, ask, flop),
    };
  }

  function baseRow(base, chance, ask) {
    return {
      mixture: base.name, synthetic_ratio: base.given, loss: base.losses[0],
      interval: spread(base.law, base.losses), difference: 0, difference_interval: null,
      probability_best: chance, speedup: 1, speedup_interval: null,
      natural_epochs: epochs(ask, 0), fresh_token_worth: sizes(ask, 0).tokens,
    };
  }

  function levelOf(best, base, law, ask) {
    const far = extrapolation(law, ask);
    if (NAMES.some((name) => !reads(law, name) && (far[name] || 1) > CLOSE)) return "undecided";
    const chance = (best || base || {}).probability_best;
    if (chance === null || chance === undefined || chance < CONVINCING) return "undecided";
    if (!best || !base) return "supported";
    const ends = best.difference_interval;
    return ends && ends[1] !== null && ends[1] < 0 ? "supported" : "undecided";
  }

  function shareRows(options, ask) {
    const isHere = ({ law }) =>
      Object.entries(law.held).every(([name, value]) => Math.abs(value / ask[name] - 1) <= NEAR);
    const ranked = [...options].sort((a, b) => a.losses[0] - b.losses[0]);
    const here = ranked.filter(isHere);
    const each = here.length ? chances(here).each : [];
    return [...here, ...ranked.filter((option) => !isHere(option))].map((option, i) => {
      const gap = option.base === null ? null : minus(option.losses, option.base.losses);
      return { synthetic_type: option.type, best_ratio: option.share, interval: option.interval,
        as_good: option.good, loss: option.losses[0], loss_interval: spread(option.law, option.losses),
        difference: gap === null ? null : gap[0],
        difference_interval: gap === null ? null : spread(option.law, gap),
        probability_best: i < each.length ? each[i] : null };
    });
  }

  function repetition(options, ask) {
    if (ask.natural === null || ask.natural >= ask.tokens || !options.length) return null;
    const first = options.reduce((a, b) => (b.losses[0] < a.losses[0] ? b : a));
    if (first.base === null) return null;
    const gap = minus(first.losses, first.base.losses);
    return { epochs: ask.tokens / ask.natural, fresh_token_worth: sizes(ask, 0).tokens,
      loss_repeating_natural: first.base.losses[0], loss_adding_synthetic: first.losses[0],
      mixture: first.name, difference: gap[0], difference_interval: spread(first.law, gap),
      better: gap[0] < 0 ? "synthetic" : "repeat" };
  }

  // Why no law answers the question; "" where they do.
  function refusal(data, ask) {
    for (const name of NAMES) {
      const ends = data.places[name];
      if (!(ask[name] > 0)) return `${name}: a positive number is needed`;
      if (!ends) continue;
      const factor = Math.max(ask[name] / ends[1], ends[0] / ask[name]);
      if (factor > data.absurd) {
        return `${name}: more than ${data.absurd} times outside the runs, which say nothing there`;
      }
    }
    if (ask.natural !== null && !(ask.natural > 0)) return "natural tokens: a positive number is needed";
    if (ask.natural !== null && ask.tokens / ask.natural > data.epochs) {
      return `natural tokens: they would repeat more than ${data.epochs} times`;
    }
    for (const [name, [low, high]] of Object.entries(data.prices)) {
      const value = ask[name];
      if (value !== null && value !== 0 && !(value >= low && value <= high)) {
        return `${name} price: expected ${low} to ${high}`;
      }
    }
    return "";
  }

  const caseOf = (data, ask) => data.cases.find(({ params }) =>
    params === null || (ask.params >= params[0] && ask.params <= params[1]));

  // ask: {params, tokens, natural, generator, training}; null for what is not given.
  function recommend(data, asked) {
    const ask = { decay: data.decay, ...asked };
    const refused = refusal(data, ask);
    if (refused) throw new Error(refused);
    const chosen = caseOf(data, ask);
    const plain = chosen.mixtures.map((choices) => predictorOf(choices, ask));
    const byShare = ratioOptions(chosen.ratio, ask);
    let options = plain.length ? [] : byShare, alone = null;
    if (plain.length === 1 && [null, plain[0].name].includes(data.baseline)) {
      alone = optionOf(plain[0], plain[0].law.rows, ask);
    } else if (plain.length) options = mixtureOptions(plain, ask, data.baseline);
    options.sort((a, b) => a.losses[0] - b.losses[0]);
    const chance = options.length ? chances(options) : { each: [], base: null };
    const rows = options.map((option, i) => rowOf(option, chance.each[i], ask, data.flop));
    const first = options.length ? options[0] : alone;
    const base = alone || first.base;
    const baseline = base === null ? null : baseRow(base, chance.base, ask);
    let best = null;
    if (options.length && (base === null || first.losses[0] < base.losses[0])) {
      best = { ...rows[0], break_even_tokens: breakEven(first, ask, data.flop) };
    }
    return {
      params: ask.params, tokens: ask.tokens, level: levelOf(best, baseline, first.law, ask),
      law: first.kind, interval_level: first.losses.length > 1 ? first.law.level : null,
      baseline, best, options: rows, shares: shareRows(byShare, ask),
      repetition: repetition(options, ask), extrapolation: extrapolation(first.law, ask),
    };
  }

  // The name of the mixture of the lowest expected loss, by the fits alone; null where no law
  // answers, or laws of the share do.
  function leader(data, asked) {
    const ask = { decay: data.decay, ...asked };
    if (refusal(data, ask)) return null;
    const found = caseOf(data, ask).mixtures.map((choices) => predictorOf(choices, ask));
    if (found.length < 2) return null;
    const losses = found.map((predictor) =>
      evaluate(predictor.law, 1, { ...sizes(ask, predictor.share || 0), ratio: predictor.share })[0]);
    return found[losses.indexOf(Math.min(...losses))].name;
  }

  return { recommend, leader };
})();
