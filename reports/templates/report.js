"use strict";
// The page is complete without this script: it adds values under the pointer, copying, keys, print.

const SVG = "http://www.w3.org/2000/svg";

function add(parent, name, kind) {
  const element = document.createElementNS(SVG, name);
  element.setAttribute("class", kind);
  parent.append(element);
  return element;
}

function nearest(points, x) {
  return points.reduce((best, p) => (Math.abs(p[0] - x) < Math.abs(best[0] - x) ? p : best));
}

function followPointer(chart) {
  const series = JSON.parse(chart.dataset.series).filter(([, points]) => points.length);
  if (!series.length) return;
  const cursor = add(chart, "line", "cursor");
  const dots = series.map(() => add(chart, "circle", "dot"));
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.setAttribute("aria-live", "polite");
  chart.parentNode.append(tip);
  const places = [...new Set(series.flatMap(([, points]) => points.map((p) => p[0])))];
  places.sort((a, b) => a - b);
  const [top, floor] = chart.dataset.frame.split(" ");
  let at = -1;

  function hide() {
    for (const element of [cursor, ...dots]) element.setAttribute("visibility", "hidden");
    tip.hidden = true;
  }

  function show(x) {
    const found = series.map(([, points]) => nearest(points, x));
    const near = nearest(found, x);
    for (const [name, value] of [["x1", near[0]], ["x2", near[0]], ["y1", top], ["y2", floor]]) {
      cursor.setAttribute(name, value);
    }
    found.forEach((p, i) => {
      dots[i].setAttribute("cx", p[0]);
      dots[i].setAttribute("cy", p[1]);
      dots[i].setAttribute("r", 4);
    });
    for (const element of [cursor, ...dots]) element.setAttribute("visibility", "visible");
    const rows = series.map(([name], i) => `${name}: ${found[i][3]}`);
    tip.textContent = [`${chart.dataset.x} ${near[2]}`, ...rows].join("\n");
    tip.hidden = false;
    const scale = chart.getBoundingClientRect().width / chart.viewBox.baseVal.width;
    const left = near[0] * scale + 12;
    tip.style.left = `${Math.min(left, chart.parentNode.clientWidth - tip.offsetWidth)}px`;
    tip.style.top = "14px";
    at = places.indexOf(near[0]);
  }

  chart.setAttribute("tabindex", "0");
  chart.addEventListener("pointerleave", hide);
  chart.addEventListener("blur", hide);
  for (const happens of ["pointermove", "pointerdown"]) {
    chart.addEventListener(happens, (event) => {
      const box = chart.getBoundingClientRect();
      show(((event.clientX - box.left) / box.width) * chart.viewBox.baseVal.width);
    });
  }
  chart.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape") hide();
    if (!step) return;
    event.preventDefault();
    show(places[Math.max(0, Math.min(places.length - 1, at + step))]);
  });
  hide();
}

function offerCopy(block) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(block.dataset.copy);
    button.textContent = "Copied";
  });
  block.append(button);
}

function walkFindings(event) {
  const step = { j: 1, k: -1 }[event.key];
  if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
  const cards = [...document.querySelectorAll("article")].filter((card) => card.offsetParent);
  const here = cards.indexOf(document.activeElement.closest("article"));
  const next = cards[Math.max(0, Math.min(cards.length - 1, here + step))];
  if (next) next.focus();
}

function openLinked() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let fold = target.closest("details"); fold; fold = fold.parentNode.closest("details")) {
    fold.open = true;
  }
  target.scrollIntoView();
}

for (const chart of document.querySelectorAll("svg[data-series]")) followPointer(chart);
if (navigator.clipboard) {
  for (const block of document.querySelectorAll("pre[data-copy]")) offerCopy(block);
}
document.addEventListener("keydown", walkFindings);
addEventListener("hashchange", openLinked);
openLinked();

let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open], .values)")];
  for (const fold of opened) fold.open = true;
});
addEventListener("afterprint", () => {
  for (const fold of opened) fold.open = false;
});
