"use strict";
// Asks for the state every two seconds; draws the page again when what it shows has changed.
(function () {
  const EVERY = 2000;
  const element = (id) => document.getElementById(id);
  const frame = element("page");
  let version = null;

  function make(tag, text) {
    const made = document.createElement(tag);
    made.textContent = text;
    return made;
  }

  function spark(curve) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    made.setAttribute("viewBox", "0 0 100 20");
    made.setAttribute("preserveAspectRatio", "none");
    made.setAttribute("aria-hidden", "true");
    const far = Math.max(...curve.tokens), low = Math.min(...curve.loss), high = Math.max(...curve.loss);
    const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
    line.setAttribute("points", curve.tokens.map((tokens, i) =>
      `${(100 * tokens) / far},${19 - (18 * (curve.loss[i] - low)) / (high - low || 1)}`).join(" "));
    made.append(line);
    return made;
  }

  function curveItem(curve) {
    const last = curve.loss[curve.loss.length - 1], tokens = curve.tokens[curve.tokens.length - 1];
    const item = make("li", `${curve.run}: ${tokens.toLocaleString("en")} tokens, training loss ${last.toFixed(3)}`);
    item.append(spark(curve));
    return item;
  }

  function show(state) {
    if (state.error) { element("running").textContent = state.error; return; }
    const runs = state.runs, failed = Object.entries(runs.failed);
    const scoring = runs.planned - runs.done - runs.left - runs.diverged.length;
    document.title = `${runs.done} of ${runs.planned}: ${state.study}`;
    element("name").textContent = state.study;
    element("running").textContent = state.running ? "running" : "not running";
    element("bar").max = runs.planned;
    element("bar").value = runs.done;
    element("runs").textContent = `${runs.done} of ${runs.planned} runs done, ${runs.left} left`
      + (scoring > 0 ? `, ${scoring} trained and not scored yet` : "")
      + (runs.interrupted_or_running.length ? `, ${runs.interrupted_or_running.length} begun` : "")
      + (runs.diverged.length ? `, ${runs.diverged.length} diverged` : "")
      + (failed.length ? `, ${failed.length} failed` : "");
    element("generated").replaceChildren(...Object.entries(state.generated).map(([name, made]) =>
      make("li", `${name}: ${made.tokens.toLocaleString("en")} of ${made.tokens_needed.toLocaleString("en")} tokens generated`)));
    element("queue").replaceChildren(...state.queue_said.map((said) => make("li", `queue: ${said}`)));
    element("curves").replaceChildren(...state.curves.map(curveItem));
    element("failed").replaceChildren(...failed.map(([name, why]) => make("li", `${name}: ${why}`)));
    if (version !== null && version !== state.version) redraw();
    version = state.version;
  }

  // The page keeps its place, its theme's choice aside, and its address (the explorer's question).
  function redraw() {
    const inside = frame.contentWindow, at = inside.scrollY;
    frame.addEventListener("load", () => inside.scrollTo(0, at), { once: true });
    inside.location.reload();
  }

  async function ask() {
    try {
      const answer = await fetch("state.json", { cache: "no-store" });
      show(await answer.json());
    } catch {
      element("running").textContent = "the watcher has stopped";
    }
    setTimeout(ask, EVERY);
  }
  ask();
})();
