"use strict";
(() => {
  const COLOURS = ["#2f6fde", "#d9622f", "#2c9c6a", "#9550c8", "#c23b61", "#7a7f1f", "#1d93a8", "#8a5a34"];
  const WIDTH = 560, HEIGHT = 300, LEFT = 62, RIGHT = 14, TOP = 10, BOTTOM = 30;
  const SVG = "http:" + "//www.w3.org/2000/svg";

  const make = (name, attributes = {}, text) => {
    const node = document.createElementNS(SVG, name);
    for (const key in attributes) node.setAttribute(key, attributes[key]);
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const element = (name, className, text) => {
    const node = document.createElement(name);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const time = us => us < 1e3 ? +us.toPrecision(3) + " µs" : us < 1e6 ? +(us / 1e3).toPrecision(3) + " ms" : +(us / 1e6).toPrecision(3) + " s";
  const count = n => n < 1e3 ? String(+n.toPrecision(3)) : n < 1e6 ? +(n / 1e3).toPrecision(3) + " k" : +(n / 1e6).toPrecision(3) + " M";

  // Round steps for an axis from 0.
  const steps = max => {
    const raw = max / 5, power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 2.5, 5, 10].map(m => m * power).find(s => s >= raw);
    const all = [];
    for (let value = 0; value <= max * 1.0001; value += step) all.push(value);
    return all;
  };
  const linear = max => ({ max, at: v => v / max, ticks: steps(max) });
  const logarithmic = (min, max) => {
    const from = Math.log10(min), span = Math.log10(max) - from || 1;
    // As few lines as there can be, but three at least.
    const tries = [[1], [1, 3], [1, 2, 5], [1, 1.5, 2, 3, 4, 5, 6, 8], [...Array(90).keys()].map(n => 1 + n / 10)];
    let ticks = [];
    for (const multiples of tries) {
      ticks = [];
      for (let power = Math.floor(from); power <= Math.ceil(Math.log10(max)); power++)
        for (const m of multiples) ticks.push(m * 10 ** power);
      ticks = ticks.filter(v => v >= min * 0.999 && v <= max * 1.001);
      if (ticks.length >= 3) break;
    }
    if (ticks.length > 8) ticks = ticks.filter((_, i) => i % Math.ceil(ticks.length / 6) === 0);
    return { max, at: v => (Math.log10(v) - from) / span, ticks };
  };

  const tip = document.body.appendChild(element("div", "tip"));

  // One plot: axes, a line for each run, and what is under the mouse.
  const plot = (title, sub, x, y, xText, yText, lines, bands, marks) => {
    const box = element("div", "plot");
    box.append(element("h3", "", title), element("p", "sub", sub));
    const svg = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": title });
    const px = v => LEFT + x.at(v) * (WIDTH - LEFT - RIGHT), py = v => HEIGHT - BOTTOM - y.at(v) * (HEIGHT - TOP - BOTTOM);
    for (const [from, to] of bands || [])
      svg.append(make("rect", { class: "warm", x: px(from), y: TOP, width: Math.max(1, px(to) - px(from)), height: HEIGHT - TOP - BOTTOM }));
    for (const v of y.ticks)
      svg.append(make("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: py(v), y2: py(v) }),
        make("text", { x: LEFT - 7, y: py(v) + 4, "text-anchor": "end" }, yText(v)));
    for (const v of x.ticks)
      svg.append(make("line", { class: "grid", x1: px(v), x2: px(v), y1: TOP, y2: HEIGHT - BOTTOM }),
        make("text", { x: px(v), y: HEIGHT - BOTTOM + 16, "text-anchor": "middle" }, xText(v)));
    svg.append(make("line", { class: "axis", x1: LEFT, x2: WIDTH - RIGHT, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM }));
    for (const line of lines) {
      const d = line.points.map((p, i) => (i ? "L" : "M") + px(p[0]).toFixed(1) + " " + py(p[1]).toFixed(1)).join("");
      svg.append(make("path", { d, stroke: line.colour, class: line.faint ? "faint" : "" }));
      if (line.points.length === 1)
        svg.append(make("circle", { cx: px(line.points[0][0]), cy: py(line.points[0][1]), r: 3, fill: line.colour }));
    }
    for (const mark of marks || [])
      svg.append(make("line", { class: mark.kind, x1: px(mark.at), x2: px(mark.at), y1: TOP, y2: HEIGHT - BOTTOM }),
        make("text", { x: px(mark.at) + 3, y: TOP + 10 }, mark.text));
    const cursor = make("line", { class: "cursor", y1: TOP, y2: HEIGHT - BOTTOM, visibility: "hidden" });
    svg.append(cursor);
    svg.addEventListener("mousemove", event => {
      const at = (event.clientX - svg.getBoundingClientRect().left) / svg.getBoundingClientRect().width * WIDTH;
      const near = line => line.points.reduce((best, p) => Math.abs(px(p[0]) - at) < Math.abs(px(best[0]) - at) ? p : best);
      const full = lines.filter(line => line.points.length);
      if (!full.length) return;
      const where = near(full[0]);
      cursor.setAttribute("x1", px(where[0])); cursor.setAttribute("x2", px(where[0])); cursor.setAttribute("visibility", "visible");
      tip.textContent = [xText(where[0]), ...full.slice(0, 24).map(line => line.label + "  " + yText(near(line)[1]))].join("\n");
      tip.style.display = "block";
      tip.style.left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8) + "px";
      tip.style.top = Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8) + "px";
    });
    svg.addEventListener("mouseleave", () => { tip.style.display = "none"; cursor.setAttribute("visibility", "hidden"); });
    box.append(svg);
    return box;
  };

  const byPercentile = (runs, colour) => {
    const lines = runs.map(run => ({
      label: run.label, colour: colour(run),
      // The distance from 100 % on a logarithmic scale: each nine has the same width.
      points: run.percentiles.filter(p => p[0] < 100 && p[1] > 0).map(p => [1 / (1 - p[0] / 100), p[1]]),
    })).filter(line => line.points.length);
    if (!lines.length) return null;
    const all = lines.flatMap(line => line.points);
    const x = logarithmic(1, Math.max(100, ...all.map(p => p[0])));
    x.ticks = [1, 2, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7].filter(v => v <= x.max * 1.001);
    const y = logarithmic(Math.min(...all.map(p => p[1])) / 1.15, Math.max(...all.map(p => p[1])) * 1.15);
    const percent = v => v === 1 ? "0 %" : +(100 - 100 / v).toPrecision(7) + " %";
    const kinds = [...new Set(runs.map(run => run.latency).filter(Boolean))].join(", ");
    return plot("Latency by percentile", "each line is a window" + (kinds && "; " + kinds), x, y, percent, time, lines);
  };

  const overTime = (runs, colour, title, sub, pick, isTime) => {
    const lines = runs.map(run => ({
      label: run.label, colour: colour(run),
      points: run.points.filter(p => pick(p) !== null && pick(p) > 0).map(p => [p.at_s, pick(p)]),
    })).filter(line => line.points.length);
    if (!lines.length) return null;
    const all = lines.flatMap(line => line.points);
    const last = Math.max(2, ...all.map(p => p[0]));
    const warm = Math.max(0, ...runs.flatMap(run => run.points.filter(p => p.warm_up).map(p => p.at_s)));
    const values = all.map(p => p[1]);
    const y = isTime ? logarithmic(Math.min(...values) / 1.2, Math.max(...values) * 1.2) : linear(Math.max(...values) * 1.08);
    return plot(title, sub + (warm ? "; the shaded part is the warm-up" : ""), linear(last), y, v => +v.toPrecision(4) + " s",
      isTime ? time : count, lines, warm ? [[0, warm]] : []);
  };

  // Probes of each group over time, faults as lines, and the windows of the struck groups as bands.
  const probes = data => {
    const { step_s: step, groups } = data.timeline;
    const lines = groups.flatMap((group, i) => ["acked", "failed"].map((what, j) => ({
      label: group.group + (j ? " failed" : " acknowledged"), colour: COLOURS[(2 * i + j) % COLOURS.length],
      points: group[what].map((n, at) => [at * step, n / step]),
    })));
    const all = lines.flatMap(line => line.points);
    if (!all.length) return [];
    const last = Math.max(1, all.at(-1)[0]), most = Math.max(1, ...all.map(p => p[1]));
    const struck = data.faults.flatMap(fault => fault.groups.filter(group => group.is_struck && group.from_s !== null));
    const bands = struck.map(group => [group.from_s, group.to_s === null ? last : group.to_s]);
    const marks = data.faults.flatMap(fault => [{ kind: "fault", at: fault.at_s, text: String(fault.number) },
      ...(fault.heal_at_s === null ? [] : [{ kind: "heal", at: fault.heal_at_s, text: "" }])]);
    const sub = "probes a second, by the time at which they were due; full line: fault, dashed: heal, shaded: window of the struck group";
    const legend = element("div", "legend");
    for (const line of lines) {
      const entry = element("span"), mark = element("i");
      mark.style.background = line.colour;
      entry.append(mark, line.label);
      legend.append(entry);
    }
    return [legend, plot("Probes over time", sub, linear(last), linear(most * 1.08), v => +v.toPrecision(4) + " s", count, lines, bands, marks)];
  };

  for (const data of document.querySelectorAll("script.probes"))
    document.getElementById(data.dataset.for).append(...probes(JSON.parse(data.textContent)));

  for (const data of document.querySelectorAll("script.runs")) {
    const runs = JSON.parse(data.textContent), box = document.getElementById(data.dataset.for);
    const sides = [...new Set(runs.map(run => run.side))];
    const colour = run => COLOURS[sides.indexOf(run.side) % COLOURS.length];
    const legend = element("div", "legend");
    for (const side of sides) {
      const entry = element("span"), mark = element("i");
      mark.style.background = COLOURS[sides.indexOf(side) % COLOURS.length];
      entry.append(mark, side);
      legend.append(entry);
    }
    const plots = [
      byPercentile(runs, colour),
      overTime(runs, colour, "Throughput over time", "messages a second; up is better", p => p.rate, false),
      overTime(runs, colour, "Median latency over time", "of each second", p => p.p50_us, true),
      overTime(runs, colour, "99 % latency over time", "of each second", p => p.p99_us, true),
    ];
    box.append(legend, ...plots.filter(Boolean));
  }
})();
