"use strict";
// Sliders and fields of the explorer; answer.js answers. All text goes in as text, never as markup.
window.synthlawIsland.then(function ({ explorer: island }) {
  const box = document.getElementById("explorer");
  if (!island || !box) return;
  const { data, start, colours } = island;
  const { recommend, leader } = window.synthlawAnswer;
  const element = (id) => document.getElementById(id);
  const FIELDS = ["params", "tokens", "natural", "generator", "training"];
  const STEPS = 1000, FAR = 1.05;
  const NOUNS = { params: "parameters", tokens: "tokens", natural: "natural tokens" };
  const SUFFIXES = [["T", 1e12], ["B", 1e9], ["M", 1e6], ["k", 1e3]];

  // The ends of each slider; at the far end of the last three lies "not given".
  const ends = {};
  for (const name of ["params", "tokens"]) {
    const [low, high] = data.places[name] || [start[name], start[name]];
    ends[name] = [Math.min(low, start[name]) / 10,
      Math.max(Math.min(high * data.absurd, high * 300), start[name])];
  }
  ends.natural = [ends.tokens[0], ends.tokens[1]];
  ends.generator = [1e-3, 100];
  ends.training = [1e-20, 1e-14];

  function count(value, digits = 3) {
    if (value === null || !Number.isFinite(value)) return "∞";
    const round = Number(value.toPrecision(digits));
    if (round >= 1e15 || (round !== 0 && round < 1e-3)) return round.toExponential().replace("e+", "e");
    const found = SUFFIXES.find(([, scale]) => round >= scale);
    return found ? `${Number((round / found[1]).toPrecision(digits))}${found[0]}` : String(round);
  }

  function parse(text) {
    const match = /^([0-9]*\.?[0-9]+(?:e[+-]?[0-9]{1,3})?)\s*([kmbgt]?)$/i.exec(text.replaceAll(",", "").trim());
    if (!match) return NaN;
    return Number(match[1]) * { "": 1, k: 1e3, m: 1e6, b: 1e9, g: 1e9, t: 1e12 }[match[2].toLowerCase()];
  }

  // Decimals down to the first digit of an interval's half-width; three digits without one.
  function decimals(pair, value) {
    const width = pair && pair[0] !== null && pair[1] !== null ? (pair[1] - pair[0]) / 2 : 0;
    if (width > 0) return Math.min(Math.max(1 - Math.floor(Math.log10(width)), 0), 6);
    return value ? Math.min(Math.max(2 - Math.floor(Math.log10(Math.abs(value))), 0), 6) : 3;
  }
  const signed = (text) => text.replace("-", "−");
  function span(pair, places, show = (value) => signed(value.toFixed(places))) {
    const [low, high] = pair.map((end) => (end === null ? "∞" : show(end)));
    return `${low} to ${high}`;
  }
  const plus = (places) => (value) => (value > 0 ? "+" : "") + signed(value.toFixed(places));
  function times(row) {
    if (row.speedup === null) return "–";
    if (row.speedup <= 0) return "never";
    const places = Math.min(decimals(row.speedup_interval, row.speedup), 2);
    return `${row.speedup.toFixed(places)}×`;
  }
  const percent = (share) => (share === null ? "–" : `${(100 * share).toFixed(0)}%`);

  function make(tag, text = "", className = "") {
    const made = document.createElement(tag);
    if (text) made.textContent = text;
    if (className) made.className = className;
    return made;
  }
  function drawn(tag, attributes) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  }

  // The question, as typed; null for what is not given.
  const ask = { ...start };

  function place(name) {
    const [low, high] = ends[name].map(Math.log);
    const value = ask[name];
    if (value === null) return name === "natural" ? STEPS : 0;
    return Math.round((STEPS * (Math.log(value) - low)) / (high - low));
  }
  function fromSlider(name, at) {
    if (name === "natural" && at >= STEPS) return null;
    if ((name === "generator" || name === "training") && at <= 0) return null;
    const [low, high] = ends[name].map(Math.log);
    return Number(Math.exp(low + (at * (high - low)) / STEPS).toPrecision(3));
  }
  function written(name) {
    if (ask[name] === null) return "";
    return name === "training" ? ask[name].toExponential().replace("e+", "e") : count(ask[name], 12);
  }

  function bar(row, scale) {
    const made = drawn("svg", { class: "interval", "aria-hidden": "true", focusable: "false" });
    const at = (value) => `${(100 * (value - scale[0])) / (scale[1] - scale[0])}%`;
    made.append(drawn("line", { class: "zero", x1: at(0), x2: at(0), y1: "0", y2: "100%" }));
    const pair = row.difference_interval;
    if (pair) {
      const [low, high] = pair.map((end, i) => (end === null ? scale[i] : end));
      made.append(drawn("line", { class: "reach", x1: at(low), x2: at(high), y1: "50%", y2: "50%" }));
    }
    if (row.difference !== null) {
      made.append(drawn("circle", { class: "dot", cx: at(row.difference), cy: "50%", r: "4.5" }));
    }
    return made;
  }

  function tableRow(row, scale, isBase) {
    const made = make("tr", "", Object.hasOwn(colours, row.mixture) ? colours[row.mixture] : "");
    made.setAttribute("role", "row");
    const name = make("th", "", "name");
    name.scope = "row";
    name.setAttribute("role", "rowheader");
    const chip = make("span", "", "chip");
    chip.setAttribute("aria-hidden", "true");
    name.append(chip, make("bdi", row.mixture));
    name.title = row.mixture;
    // A narrow page shows rows as blocks: cells keep their roles and name their columns.
    const place = (label, className) => {
      const td = make("td", "", className);
      td.setAttribute("role", "cell");
      td.dataset.label = label;
      return td;
    };
    const cell = (label, text, small) => {
      const td = place(label, "num");
      td.append(make("b", text));
      if (small) td.append(make("span", small, "span"));
      return td;
    };
    const places = decimals(row.interval, row.loss);
    made.append(name, cell("Loss", row.loss.toFixed(places), row.interval && span(row.interval, places)));
    const gap = place("Difference", "wide difference");
    gap.append(bar(row, scale));
    const digits = decimals(row.difference_interval, row.difference);
    gap.append(make("span", isBase ? "0 by definition" : row.difference === null ? "–"
      : plus(digits)(row.difference) + (row.difference_interval
        ? ` (${span(row.difference_interval, digits, plus(digits))})` : ""), "span"));
    made.append(gap, cell("Chance best", percent(row.probability_best), ""));
    const pair = row.speedup_interval;
    made.append(isBase ? cell("Speed-up", "1×", "")
      : cell("Speed-up", times(row), pair && pair[1] !== 0
        && span(pair, Math.min(decimals(pair, row.speedup), 2))));
    return made;
  }

  function verdict(found) {
    const { best, baseline } = found, row = best || baseline || found.options[0];
    const loss = row.loss.toFixed(decimals(row.interval, row.loss));
    if (!found.options.length) return `${row.mixture}: expected loss ${loss} nats per token.`;
    const sure = found.level === "supported" ? "" : "Not settled: ";
    if (!best) return `${sure}natural text alone (${row.mixture}) has the lowest expected loss, ${loss}.`;
    const faster = best.speedup > 0 && !best.needs_less_than_any_run
      ? `, which it reaches with ${times(best)} fewer tokens` : "";
    return baseline === null ? `${sure}${best.mixture} has the lowest expected loss, ${loss}.`
      : `${sure}${best.mixture} has the lowest expected loss, ${loss}, against `
        + `${baseline.loss.toFixed(decimals(baseline.interval, baseline.loss))} for ${baseline.mixture}${faster}.`;
  }

  function reach(found) {
    const parts = Object.entries(found.extrapolation).map(([name, factor]) =>
      (factor > FAR ? `${count(factor, 2)} times outside the runs in ${NOUNS[name]}`
        : `inside the runs in ${NOUNS[name]}`));
    const far = Object.values(found.extrapolation).some((factor) => factor > FAR);
    element("ask-reach").classList.toggle("far", far);
    return parts.join(", ") + (far && found.interval_level !== null ? "; the intervals are widened for it" : "");
  }

  function account(found) {
    const best = found.best, rows = [];
    if (best && best.synthetic_ratio !== null) {
      rows.push(["tokens to generate for the whole budget", count(best.tokens_to_generate)]);
      const equal = best.equal_loss;
      if (equal) {
        rows.push(["tokens that reach natural text’s loss", count(best.tokens_to_baseline_loss)]);
        rows.push(["of them generated", count(equal.tokens_generated)]);
        rows.push(["training saved", `${count(equal.training_flops_saved)} FLOP`]);
        const words = { training_money_saved: "training money saved",
          generation_money_spent: "generation money spent", net_money_saved: "net money saved",
          break_even_generator_cost: "break-even generator price, per million tokens" };
        for (const [key, word] of Object.entries(words)) {
          if (equal[key] !== undefined && equal[key] !== null) rows.push([word, money(equal[key])]);
        }
        if (equal.probability_saves_money !== undefined && equal.probability_saves_money !== null) {
          rows.push(["chance that it saves money", percent(equal.probability_saves_money)]);
        }
      }
      if (ask.generator !== null && ask.training !== null) {
        rows.push(["pays for itself from", best.break_even_tokens === null ? "no budget within reach"
          : `${count(best.break_even_tokens)} tokens on`]);
      }
    }
    if (found.repetition) {
      rows.push(["natural text would repeat", `${count(found.repetition.epochs, 2)} times`]);
      rows.push(["and be worth", `${count(found.repetition.fresh_token_worth)} fresh tokens`]);
    }
    return rows;
  }
  const money = (value) => signed(Math.abs(value) >= 1000 ? (value < 0 ? "-" : "") + count(Math.abs(value))
    : String(Number(value.toPrecision(3))));

  // The nearest sizes at which another mixture has the lowest expected loss.
  function changes() {
    const now = leader(data, ask), found = [];
    if (now === null) return found;
    for (const name of ["params", "tokens", "natural"]) {
      if (ask[name] === null) continue;
      for (const way of [1, -1]) {
        let before = ask[name];
        for (let step = 1; step <= 60; step += 1) {
          const value = ask[name] * 10 ** ((way * step) / 30);
          const other = leader(data, { ...ask, [name]: value });
          if (other === null) break;
          if (other === now) { before = value; continue; }
          let [same, changed] = [before, value];
          for (let i = 0; i < 30; i += 1) {
            const middle = Math.sqrt(same * changed);
            if (leader(data, { ...ask, [name]: middle }) === now) same = middle; else changed = middle;
          }
          const most = leader(data, { ...ask, [name]: changed });
          found.push([changed, `${way > 0 ? "from" : "down to"} ${count(changed)} ${NOUNS[name]}`
            + `${way > 0 ? " on" : ""}: ${most}`]);
          break;
        }
      }
    }
    return found.sort((a, b) => a[0] - b[0]).map(([, words]) => words);
  }

  function show(found) {
    element("ask-verdict").textContent = verdict(found);
    element("ask-reach").textContent = reach(found);
    element("ask-caption").textContent = found.interval_level === null ? "Lowest loss first."
      : `Lowest loss first; bars and ranges are ${percent(found.interval_level)} intervals.`;
    const rows = [...found.options.map((row) => [row, false]),
      ...(found.baseline ? [[found.baseline, true]] : [])].sort((a, b) => a[0].loss - b[0].loss);
    const reached = rows.flatMap(([row]) => [row.difference, ...(row.difference_interval || [])])
      .filter((value) => value !== null);
    const low = Math.min(0, ...reached), high = Math.max(0, ...reached);
    const room = 0.06 * (high - low || 1);
    element("ask-rows").replaceChildren(
      ...rows.map(([row, isBase]) => tableRow(row, [low - room, high + room], isBase)));
    const facts = account(found).map(([word, figure]) => {
      const pair = make("div");
      pair.append(make("dt", word), make("dd", figure));
      return pair;
    });
    element("ask-account").replaceChildren(...facts);
    element("ask-account").parentElement.hidden = !facts.length;
    const listed = changes();
    element("ask-changes").replaceChildren(...(listed.length ? listed
      : ["no size within a factor of 100 gives another mixture the lowest expected loss"])
      .map((words) => make("li", words)));
    element("ask-shares").hidden = !found.shares.length;
    element("ask-share-rows").replaceChildren(...found.shares.map((row) => make("li",
      `${percent(row.best_ratio)} of ${row.synthetic_type}`
      + (row.interval ? ` (${row.interval.map(percent).join(" to ")})` : "")
      + `: expected loss ${row.loss.toFixed(decimals(row.loss_interval, row.loss))}`)));
  }

  // The paper's laws at the same question, by their fits alone; nothing where they do not reach.
  function comparePaper() {
    const place = element("ask-paper");
    place.hidden = true;
    if (!island.paper) return;
    let found;
    try { found = recommend(island.paper, ask); } catch { return; }
    const row = found.best || found.baseline;
    const far = Object.entries(found.extrapolation).filter(([, factor]) => factor > FAR)
      .map(([name, factor]) => `${count(factor, 2)} times outside its runs in ${NOUNS[name]}`);
    place.textContent = `The paper’s laws (arXiv 2510.01631, Tables 4 and 5), without intervals: `
      + `${row.mixture} has the lowest expected loss, ${row.loss.toFixed(2)}`
      + (found.best ? `, against ${found.baseline.loss.toFixed(2)} for ${found.baseline.mixture}`
        + (row.speedup > 0 ? `, a speed-up of ${times(row)}` : "") : "")
      + (far.length ? `; ${far.join(" and ")}` : "") + ".";
    place.hidden = false;
  }

  function answer() {
    try {
      const found = recommend(data, ask);
      element("ask-refused").textContent = "";
      element("ask-answer").hidden = false;
      show(found);
      comparePaper();
      box.answered = found;
    } catch (error) {
      element("ask-refused").textContent = `No answer: ${error.message}.`;
      element("ask-answer").hidden = true;
      element("ask-reach").textContent = "";
    }
  }

  const controls = {};
  for (const name of FIELDS) {
    const [text, slider] = box.querySelector(`[data-ask="${name}"]`).querySelectorAll("input");
    controls[name] = { text, slider };
    slider.addEventListener("input", () => {
      ask[name] = fromSlider(name, Number(slider.value));
      asked(name, "slider");
    });
    text.addEventListener("input", () => {
      const optional = !["params", "tokens"].includes(name);
      const value = text.value.trim() === "" && optional ? null : parse(text.value);
      text.setAttribute("aria-invalid", String(Number.isNaN(value)));
      if (Number.isNaN(value)) {
        element("ask-refused").textContent = "Expected a number such as 7B, 1.5e12 or 0.2.";
        return;
      }
      ask[name] = value;
      asked(name, "text");
    });
    text.addEventListener("change", () => { if (text.getAttribute("aria-invalid") !== "true") write(name, ""); });
  }

  function write(name, source) {
    const { text, slider } = controls[name];
    if (source !== "text") { text.value = written(name); text.setAttribute("aria-invalid", "false"); }
    if (source !== "slider") slider.value = String(place(name));
    slider.setAttribute("aria-valuetext", ask[name] === null ? text.placeholder : written(name));
  }

  let waiting = 0;
  function asked(name, source) {
    write(name, source);
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(() => {
      answer();
      const given = FIELDS.filter((field) => ask[field] !== null);
      history.replaceState(null, "", `#explore?${given.map((field) => `${field}=${ask[field]}`).join("&")}`);
    });
  }

  // The question that the page's address holds, if it holds one.
  function fromAddress() {
    if (!location.hash.startsWith("#explore?")) return false;
    const told = new URLSearchParams(location.hash.slice("#explore?".length));
    for (const name of FIELDS) {
      const value = told.has(name) ? parse(told.get(name)) : NaN;
      if (!Number.isNaN(value)) ask[name] = value;
      else if (!["params", "tokens"].includes(name)) ask[name] = null;
    }
    return true;
  }
  function restore() {
    const told = fromAddress();
    for (const name of FIELDS) write(name, "");
    answer();
    if (told) element("explore").scrollIntoView();
  }

  box.hidden = false;
  window.addEventListener("hashchange", () => { if (location.hash.startsWith("#explore?")) restore(); });
  restore();
});
