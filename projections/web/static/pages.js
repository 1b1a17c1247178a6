// Keeps the page true while somebody looks at it, and sends what they enter. Without it the page still reads.

const main = document.querySelector("main");
const said = document.getElementById("said");
const EVERY = 1000 * (main.dataset.live || 30);
const say = (text) => (said.textContent = text);

// --- What changes by itself -------------------------------------------------------------------------------

const state = document.getElementById("state");
let source;
let position = Number(main.dataset.position ?? 0);
let asOf = new Date();
let catchingUp = false;

function show(live) {
  if (live) asOf = new Date();
  if (!state || state.dataset.is === String(live)) return;
  state.dataset.is = live;
  state.querySelector(".words").textContent = live ? state.dataset.live : `${state.dataset.lost} ${clock(asOf)}`;
}

const clock = (at) =>
  at.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: document.getElementById("clock")?.dataset.zone });

async function fetched(url) {
  const answer = await fetch(url, { signal: AbortSignal.timeout(10_000) });
  if (answer.status === 401) location.reload();
  if (answer.status === 404) return null;
  if (!answer.ok) throw new Error(answer.status);
  return parsed(await answer.text());
}

const parsed = (html) => new DOMParser().parseFromString(html, "text/html");

/** Fetch this page again and take over what is new; a part in which somebody is working stays as it is. */
async function refresh(minPosition, force = false) {
  const url = new URL(location);
  if (minPosition) url.searchParams.set("min_position", minPosition);
  const fresh = (await fetched(url))?.querySelector("main");
  if (!fresh) return;
  for (const part of main.querySelectorAll("[data-part]")) {
    const next = fresh.querySelector(`[data-part="${part.dataset.part}"]`);
    if (!force && busy(part)) continue;
    if (next?.dataset.say !== part.dataset.say) say(next.dataset.say);
    next ? part.isEqualNode(next) || part.replaceWith(next) : part.replaceChildren();
  }
  const cards = [...fresh.querySelectorAll(".card")];
  const there = new Set(cards.map((card) => card.id));
  for (const card of main.querySelectorAll(".card"))
    if (!there.has(card.id) && Number(card.dataset.position) <= Number(fresh.dataset.position)) card.remove();
  cards.forEach(place);
  count();
}

const busy = (part) =>
  part.contains(document.activeElement) ||
  part.querySelector("details[open]") ||
  [...part.querySelectorAll("input, textarea")].some((field) =>
    field.type === "checkbox" ? field.checked !== field.defaultChecked : field.value !== field.defaultValue,
  );

/** Put a card where it belongs now: moved visibly, focus kept, an older state never over a newer one. */
function place(card) {
  const old = document.getElementById(card.id);
  if (old && Number(card.dataset.position) < Number(old.dataset.position)) return;
  if (old) old.dataset.position = card.dataset.position;
  if (old?.isEqualNode(card)) return;
  const from = old?.getBoundingClientRect();
  const focused = old?.contains(document.activeElement);
  const moved = old?.dataset.column !== card.dataset.column;
  old?.remove();
  const list = main.querySelector(`[data-cards="${card.dataset.column}"]`);
  if (!list) return; // it stands on this board no longer, or not yet
  list.insertBefore(card, [...list.children].find((other) => other.dataset.order > card.dataset.order) ?? null);
  if (focused) card.querySelector("a").focus({ preventScroll: true });
  if (moved) say(`${card.querySelector("h3 a").textContent.trim()}: ${list.parentElement.querySelector(".name").textContent}`);
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  const to = card.getBoundingClientRect();
  const shift = from ? `translate(${from.x - to.x}px, ${from.y - to.y}px)` : "scale(0.9)";
  card.animate([{ transform: shift, zIndex: 1 }, { transform: "none", zIndex: 1 }], { duration: 450, easing: "ease-out" });
  card.classList.add("changed");
  setTimeout(() => card.classList.remove("changed"), 4000);
}

function count() {
  for (const number of main.querySelectorAll("[data-count]"))
    number.textContent = main.querySelector(`[data-cards="${number.dataset.count}"]`).children.length;
}

async function changed(event) {
  position = Number(event.lastEventId);
  if (!("id" in main.dataset)) {
    place(parsed(event.data).querySelector(".card"));
    count();
  } else if (JSON.parse(event.data).work_order_id === main.dataset.id) await refresh(position);
  show(true);
}

/** Something on this page is otherwise than it says; what happens while it is fetched is fetched once more. */
async function heard(event) {
  position = Number(event.lastEventId);
  if (catchingUp) return;
  catchingUp = true;
  try {
    for (let at = 0; at < position; ) await refresh((at = position));
    show(true);
  } finally {
    catchingUp = false;
  }
}

function follow() {
  source = new EventSource(`${main.dataset.stream}?after=${position}`);
  source.addEventListener("open", () => show(true));
  source.addEventListener("card", (event) => changed(event).catch(() => show(false)));
  for (const name of ["entry", "complaint"])
    source.addEventListener(name, (event) => heard(event).catch(() => show(false)));
  // The server ends a connection now and then; only one that stays away is lost.
  source.addEventListener("error", () => setTimeout(() => source.readyState === EventSource.OPEN || show(false), 3000));
}

async function look() {
  try {
    if (source?.readyState === EventSource.CLOSED) follow();
    await refresh();
    if (!source || source.readyState === EventSource.OPEN) show(true);
  } catch {
    show(false);
  }
}

if ("live" in main.dataset) {
  if (main.dataset.stream) follow();
  setInterval(look, EVERY);
  addEventListener("offline", () => show(false));
  addEventListener("online", look);
  const hand = document.getElementById("clock");
  if (hand) setInterval(() => (hand.textContent = clock(new Date())), 1000);
}

// --- What people enter ------------------------------------------------------------------------------------

const AS = {
  number: Number,
  fen: (yuan) => Math.round(Number(yuan) * 100),
  lines: (text) => text.split("\n").map((line) => line.trim()).filter(Boolean),
  time: (text) => `${text}:00${main.dataset.offset}`,
  parts: (text) => AS.lines(text).map((line) => line.split(/\s*[×x*]\s*|\s+/)).map(([code, n]) => ({ code, quantity: Number(n ?? 1) })),
  flag: (text) => text === "true",
  picked: (_, field) => [...field.selectedOptions].map((option) => JSON.parse(option.value)),
  chosen: (_, field) => [...field.selectedOptions].map((option) => option.value),
  checked: (_, field) => field.checked,
  json: JSON.parse,
};

document.addEventListener("submit", (event) => {
  if (!("json" in event.target.dataset)) return;
  event.preventDefault();
  send(event.target, event.submitter);
});

async function send(form, button) {
  const url = button.getAttribute("formaction") ?? form.getAttribute("action");
  const fields = [...form.elements].filter((f) => f.name && f.value.trim() && !button.dataset.omit?.split(" ").includes(f.name));
  const entered = Object.fromEntries(fields.map((f) => [f.name, (AS[f.dataset.as] ?? String)(f.value, f)]));
  if (form.querySelector("input[type=file]")) return sendFile(form, button, url, entered);
  const body = JSON.stringify(entered);
  // The same entry sent again, after a failure or by a second click, is recorded once.
  if (form.sent !== url + body) {
    form.sent = url + body;
    form.key = [...crypto.getRandomValues(new Uint32Array(4))].map((n) => n.toString(16)).join("-");
  }
  await post(form, button, url, body, { "Content-Type": "application/json", "Idempotency-Key": form.key });
}

/** A form with a file sends the file; what else was entered goes into the address. */
async function sendFile(form, button, url, entered) {
  const [file] = form.querySelector("input[type=file]").files;
  await post(form, button, `${url}?${new URLSearchParams(entered)}`, file, { "Content-Type": file.type });
}

async function post(form, button, url, body, headers) {
  button.disabled = true;
  try {
    const answer = await fetch(url, { method: "POST", headers, body });
    const said = await answer.json();
    explain(form, answer.ok ? {} : said);
    if (answer.ok) await go(form, said);
  } catch {
    explain(form, { detail: document.body.dataset.unreachable });
  } finally {
    button.disabled = false;
  }
}

async function go(form, answer) {
  if ("reveal" in form.dataset) return reveal(form, answer);
  if ("reload" in form.dataset) return location.assign(location.pathname + (answer.position ? `?min_position=${answer.position}` : ""));
  if (form.dataset.next) return location.assign((answer.path ?? form.dataset.next + answer.id) + (answer.position ? `?min_position=${answer.position}` : ""));
  say(document.body.dataset.recorded);
  form.dispatchEvent(new CustomEvent("recorded", { bubbles: true, detail: answer }));
  await refresh(answer.position, true).catch(() => {});
  (document.getElementById(form.dataset.then) ?? main.querySelector("h1")).focus();
}

function reveal(form, values) {
  const list = form.querySelector("dl");
  for (const shown of list.querySelectorAll("[data-value]")) shown.textContent = values[shown.dataset.value] ?? list.dataset.erased;
  list.hidden = false;
}

function explain(form, { detail = "", errors = [] }) {
  const unplaced = [];
  for (const why of form.querySelectorAll("[data-why]")) why.textContent = "";
  for (const field of form.elements) field.removeAttribute("aria-invalid");
  for (const { field, why } of errors) {
    const name = field.split(".")[0];
    const place = form.querySelector(`[data-why="${CSS.escape(name)}"]`);
    if (!place) unplaced.push(`${field}: ${why}`);
    else {
      place.textContent = form.elements[name].title || why;
      form.elements[name].setAttribute("aria-invalid", "true");
      place.closest("details")?.setAttribute("open", "");
    }
  }
  form.querySelector(".outcome").textContent = errors.length ? unplaced.join("; ") : detail;
  form.querySelector("[aria-invalid]")?.focus();
}
