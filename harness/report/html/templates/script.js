"use strict";
// The page says everything without this script; it adds what a reader does: jump, hide, walk, copy.

const LANE = 46;
const said = document.getElementById("said");

function say(text) {
  said.textContent = text;
  window.setTimeout(() => { if (said.textContent === text) said.textContent = ""; }, 4000);
}

function centre(picture, bar) {
  const scroller = picture.querySelector(".drawing");
  const lane = bar.closest(".lane");
  scroller.scrollLeft = Number(bar.dataset.at) - scroller.clientWidth / 2;
  scroller.scrollTop = Number(lane.dataset.now) - scroller.clientHeight / 2;
}

function show(picture, bar) {
  for (const other of picture.querySelectorAll(".bar.now")) other.classList.remove("now");
  bar.classList.add("now");
  picture.querySelector(".panel").textContent = bar.getAttribute("aria-label") + "\n" + bar.dataset.details;
}

function go(picture, bar) {
  for (const other of picture.querySelectorAll(".bar[tabindex='0']")) other.setAttribute("tabindex", "-1");
  bar.setAttribute("tabindex", "0");
  centre(picture, bar);
  bar.focus({ preventScroll: true });
  show(picture, bar);
}

function visibleBars(picture) {
  return [...picture.querySelectorAll(".lane:not([hidden]) .bar")].sort((a, b) => a.dataset.sent - b.dataset.sent);
}

// Lanes that are left move up; the line through the legal order is drawn anew through the dots that are left.
function settle(picture) {
  const svg = picture.querySelector("svg");
  const lanes = [...picture.querySelectorAll(".lane")];
  const full = lanes.length ? Number(lanes[0].dataset.y) : 0;
  let shown = 0;
  const dots = [];
  for (const lane of lanes) {
    const hidden = !picture.querySelector(`.hide[data-lane="${lane.dataset.lane}"]`).checked;
    lane.toggleAttribute("hidden", hidden);
    lane.setAttribute("display", hidden ? "none" : "inline");
    if (hidden) continue;
    const y = full + LANE * shown++;
    lane.dataset.now = y;
    lane.setAttribute("transform", `translate(0 ${y})`);
    for (const dot of lane.querySelectorAll(".dot")) {
      dots.push([Number(dot.dataset.number), Number(dot.getAttribute("cx")), y + 28]);
    }
  }
  const saved = LANE * (lanes.length - shown);
  for (const band of picture.querySelectorAll(".band")) {
    band.setAttribute("transform", `translate(0 ${Number(band.dataset.y) - saved})`);
  }
  dots.sort((a, b) => a[0] - b[0]);
  picture.querySelector(".order").setAttribute("points", dots.map(([, x, y]) => `${x},${y}`).join(" "));
  const height = Number(picture.dataset.height) - saved;
  svg.setAttribute("height", height);
  svg.setAttribute("viewBox", `0 0 ${svg.getAttribute("width")} ${height}`);
}

// The lanes' names stay in sight while the picture is moved sideways.
function keepNames(picture) {
  const scroller = picture.querySelector(".drawing");
  const names = picture.querySelectorAll(".lane-name");
  scroller.addEventListener("scroll", () => {
    for (const name of names) name.setAttribute("transform", `translate(${scroller.scrollLeft} 0)`);
  }, { passive: true });
}

function jump(picture) {
  const bars = visibleBars(picture);
  const bar = bars.find((one) => one.classList.contains("stuck")) || bars.find((one) => one.classList.contains("violating"));
  if (bar) go(picture, bar); else say("The violation's lanes are hidden.");
}

function walk(picture, event) {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!step) return;
  const bars = visibleBars(picture);
  if (!bars.length) return;
  const here = bars.indexOf(document.activeElement);
  const next = here < 0 ? 0 : Math.min(bars.length - 1, Math.max(0, here + step));
  event.preventDefault();
  go(picture, bars[next]);
}

async function copy(button) {
  const code = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(code.textContent);
    say("The replay command is copied.");
  } catch (error) {
    window.getSelection().selectAllChildren(code);
    say(document.execCommand("copy") ? "The replay command is copied." : "Press Ctrl+C: the command is selected.");
  }
}

for (const picture of document.querySelectorAll(".picture")) {
  settle(picture);
  keepNames(picture);
  const bars = visibleBars(picture);
  const first = bars.find((bar) => bar.classList.contains("violating")) || bars[0];
  if (first) {
    first.setAttribute("tabindex", "0");
    centre(picture, first);
  }
  picture.querySelector(".jump").addEventListener("click", () => jump(picture));
  for (const box of picture.querySelectorAll(".hide")) box.addEventListener("change", () => settle(picture));
  picture.querySelector(".drawing").addEventListener("keydown", (event) => walk(picture, event));
  for (const bar of picture.querySelectorAll(".bar")) {
    bar.addEventListener("focus", () => show(picture, bar));
    bar.addEventListener("pointerenter", () => show(picture, bar));
  }
}
for (const button of document.querySelectorAll(".copy")) button.addEventListener("click", () => copy(button));
