// Marks damage on the picture of the car. Everything else of intake is plain forms.

const walk = document.getElementById("walk"); // gone once the vehicle is in the workshop
const list = walk?.querySelector(".damages");
const SVG = "http://www.w3.org/2000/svg";

// --- The walk-around: what is marked and chosen stands in hidden fields, and in the browser until it is recorded ----

const word = (selector) => walk.querySelector(selector).textContent.trim();
const marks = () => JSON.parse(walk.elements.damages.value);
const kept = `walk-around ${location.pathname}`;

function mark(damages) {
  walk.elements.damages.value = JSON.stringify(damages);
  for (const picture of walk.querySelectorAll("svg[data-view]")) {
    const here = damages.map((each, n) => [each, n + 1]).filter(([each]) => each.view === picture.dataset.view);
    picture.querySelector(".marks-here").replaceChildren(...here.map(([each, n]) => pin(each, n)));
  }
  list.replaceChildren(...damages.map(entry));
  list.dataset.empty = damages.length ? "" : list.dataset.none;
  keep();
}

function pin({ x, y }, number) {
  const [group, circle, text] = ["g", "circle", "text"].map((name) => document.createElementNS(SVG, name));
  group.setAttribute("transform", `translate(${x} ${y / 2})`);
  circle.setAttribute("r", 30);
  text.textContent = number;
  group.append(circle, text);
  return group;
}

function entry(damage, n) {
  const [item, what, note, remove] = ["li", "span", "input", "button"].map((name) => document.createElement(name));
  what.textContent = `${word(`[data-kind="${damage.kind}"]`)}, ${word(`[data-place=view] option[value="${damage.view}"]`)}`;
  note.value = damage.note ?? "";
  note.maxLength = 200;
  note.placeholder = list.dataset.note;
  note.setAttribute("aria-label", `${list.dataset.note}: ${n + 1} ${what.textContent}`);
  note.addEventListener("change", () => mark(marks().map((each, i) => (i === n ? { ...each, note: note.value.trim() || null } : each))));
  remove.type = "button";
  remove.textContent = list.dataset.remove;
  remove.setAttribute("aria-label", `${list.dataset.remove}: ${n + 1} ${what.textContent}`);
  remove.addEventListener("click", () => {
    mark(marks().filter((_, i) => i !== n));
    walk.querySelector("[data-mark]").focus();
  });
  item.append(what, note, remove);
  return item;
}

const kind = () => walk.querySelector('[data-kind][aria-pressed="true"]').dataset.kind;
const add = (view, x, y) => mark([...marks(), { view, x: Math.round(x), y: Math.round(y), kind: kind() }]);

function look() {
  const chosen = [...walk.querySelectorAll("[data-item]")].filter((field) => field.value);
  const note = (item) => walk.querySelector(`[data-note-of="${item}"]`).value.trim() || null;
  const checks = chosen.map((field) => ({ item: field.dataset.item, ok: field.value === "ok", note: note(field.dataset.item) }));
  walk.elements.checks.value = JSON.stringify(checks);
  keep();
}

const keep = () =>
  sessionStorage.setItem(
    kept,
    JSON.stringify(Object.fromEntries(["after", "checks", "damages", "fuel_eighths"].map((name) => [name, walk.elements[name].value]))),
  );

function resume() {
  const before = JSON.parse(sessionStorage.getItem(kept) ?? "{}");
  if (before.after !== walk.elements.after.value) return;
  walk.elements.fuel_eighths.value = before.fuel_eighths;
  for (const { item, ok, note } of JSON.parse(before.checks)) {
    walk.querySelector(`[data-item="${item}"]`).value = ok ? "ok" : "not";
    walk.querySelector(`[data-note-of="${item}"]`).value = note ?? "";
  }
  walk.elements.damages.value = before.damages;
}

if (walk) {
  resume();
  mark(marks());
  look();
  walk.addEventListener("input", look);
  walk.addEventListener("click", (event) => {
    const { target } = event;
    const picture = target.closest("svg[data-view]");
    if (picture) {
      const frame = picture.getBoundingClientRect();
      add(picture.dataset.view, (1000 * (event.clientX - frame.x)) / frame.width, (1000 * (event.clientY - frame.y)) / frame.height);
    } else if (target.matches("[data-kind]")) {
      for (const each of walk.querySelectorAll("[data-kind]")) each.setAttribute("aria-pressed", each === target);
    } else if (target.matches("[data-mark]")) {
      const [view, x, y] = ["view", "x", "y"].map((name) => walk.querySelector(`[data-place=${name}]`).value);
      add(view, Number(x), Number(y));
    } else if (target.matches("[data-all]")) {
      for (const field of walk.querySelectorAll("[data-item]")) field.value ||= "ok";
      look();
    }
  });
  walk.addEventListener("recorded", (event) => {
    // What this page shows is what was recorded just now.
    walk.elements.after.value = Number(walk.elements.after.value) + event.detail.events.length;
    keep();
  });
}
