// The quote as the advisor puts it together: from the price list in force, added up as the system adds it up.

const place = document.getElementById("quoting");
const form = place.querySelector("form");
const lines = [];
const known = JSON.parse(place.dataset.known);
let prices;

const copy = (name) => document.getElementById(name).content.firstElementChild.cloneNode(true);
const money = (fen) => "¥" + (fen / 100).toLocaleString("en", { minimumFractionDigits: 2 });
const half_up = (fen, by) => Math.floor((2 * fen + by) / (2 * by));
const labour = (line) => line.labour_fen ?? half_up((prices.labour_hour_fen[line.trade] ?? 0) * line.minutes, 60);
const cost = (part) => half_up(Math.round(Number(part.quantity || 0) * 1000) * part.unit_fen, 1000);
const parts = (line) => line.parts.reduce((sum, part) => sum + cost(part), 0);
const total = (line) => labour(line) + parts(line) - line.discount_fen;
const sum = (of) => lines.reduce((all, line) => all + of(line), 0);
const held = (versions) => versions.filter((each) => new Date(each.effective) <= new Date()).at(-1) ?? versions[0];

const asked = async (url) => (await fetch(url)).json();

function grouped(things) {
  const groups = new Map();
  for (const each of things) groups.set(each.group, [...(groups.get(each.group) ?? []), each]);
  return groups;
}

function line(operation) {
  const { code = null, name = "", trade = "mechatronic", labour_minutes = 0 } = operation ?? {};
  return { operation: code, description: name, trade, minutes: labour_minutes, parts: [], discount_fen: 0, payer: "customer" };
}

const of_code = (things, code) => things.find((each) => each.code === code);

function part(code, quantity = "1", in_stock = true) {
  const { name, origin, unit_fen } = of_code(prices.parts, code);
  return { code, name, origin, unit_fen, quantity, in_stock };
}

/** What was quoted before, at the prices of today. */
function again(quoted) {
  const operation = of_code(prices.operations, quoted.operation);
  const now = { ...line(operation), payer: quoted.payer, minutes: quoted.labour_minutes, discount_fen: quoted.discount_fen };
  if (!operation) Object.assign(now, { description: quoted.description, trade: quoted.trade, labour_fen: quoted.labour_fen });
  for (const each of quoted.parts)
    now.parts.push(of_code(prices.parts, each.code) ? part(each.code, each.quantity, each.in_stock) : { ...each, unlisted: true });
  return now;
}

function catalogue(words = "") {
  const list = place.querySelector("[data-catalogue]");
  list.replaceChildren();
  const wanted = prices.operations.filter((each) => `${each.code} ${each.name}`.toLowerCase().includes(words.toLowerCase()));
  for (const [name, operations] of grouped(wanted)) {
    const group = copy("group");
    group.open = Boolean(words);
    group.querySelector("summary").textContent = name;
    for (const each of operations) {
      const button = copy("operation");
      button.querySelector("b").textContent = each.name;
      button.querySelector("small").textContent = `${each.labour_minutes} min · ${money(labour(line(each)))}`;
      button.addEventListener("click", () => (lines.push(line(each)), show()));
      group.append(button);
    }
    list.append(group);
  }
}

function part_row(owner, each) {
  const row = copy("part");
  row.querySelector("[data-name]").textContent = each.name;
  row.querySelector(`[data-origin="${each.origin}"]`).hidden = false;
  row.querySelector("[data-cost]").textContent = money(cost(each));
  const quantity = row.querySelector("[data-quantity]");
  const stock = row.querySelector("[data-stock]");
  quantity.value = each.quantity;
  stock.checked = each.in_stock ?? false;
  quantity.addEventListener("change", () => ((each.quantity = quantity.value), show()));
  stock.addEventListener("change", () => (each.in_stock = stock.checked));
  row.querySelector("[data-remove]").addEventListener("click", () => (owner.parts.splice(owner.parts.indexOf(each), 1), show()));
  return row;
}

function line_row(each, number) {
  const row = copy("line");
  const set = (name, value, change) => {
    const input = row.querySelector(`[data-${name}]`);
    input.value = value;
    input.addEventListener("change", () => (change(input.value), show()));
    return input;
  };
  row.querySelector("[data-no]").textContent = number;
  set("description", each.description, (text) => (each.description = text)).readOnly = Boolean(each.operation);
  set("minutes", each.minutes, (text) => (each.minutes = Number(text)));
  const price = set("labour", (labour(each) / 100).toFixed(2), (yuan) => (each.labour_fen = Math.round(Number(yuan) * 100)));
  price.readOnly = Boolean(each.operation);
  set("discount", (each.discount_fen / 100).toFixed(2), (yuan) => (each.discount_fen = Math.round(Number(yuan) * 100)));
  set("payer", each.payer, (who) => (each.payer = who));
  row.querySelector("[data-parts]").append(...each.parts.map((one) => part_row(each, one)));
  const more = row.querySelector("[data-more]");
  for (const [name, some] of grouped(prices.parts)) {
    const group = Object.assign(document.createElement("optgroup"), { label: name });
    for (const one of some) group.append(new Option(`${one.name} · ${money(one.unit_fen)}`, one.code));
    more.append(group);
  }
  more.addEventListener("change", () => (each.parts.push(part(more.value)), show()));
  row.querySelector("[data-total]").textContent = money(total(each));
  row.querySelector("[data-remove]").addEventListener("click", () => (lines.splice(number - 1, 1), show()));
  return row;
}

function show() {
  const focused = document.activeElement?.closest("[data-lines] > li") && [...place.querySelectorAll("[data-lines] :is(input, select, button)")].indexOf(document.activeElement);
  place.querySelector("[data-lines]").replaceChildren(...lines.map((each, n) => line_row(each, n + 1)));
  if (focused > -1) place.querySelectorAll("[data-lines] :is(input, select, button)")[focused]?.focus();
  place.querySelector("[data-none]").hidden = lines.length > 0;
  for (const [name, of] of Object.entries({ labour, parts, discount: (each) => each.discount_fen, total }))
    place.querySelector(`[data-sum="${name}"]`).textContent = money(sum(of));
  place.querySelector("[data-labour-minutes]").textContent = sum((each) => each.minutes);
  place.querySelector("[data-issue]").disabled = lines.length === 0;
}

function body() {
  const { payment_method, old_parts, promised_at, queue_minutes, check_first } = form.elements;
  const said = {
    lines: lines.map((each) => ({
      ...(each.operation ? { operation: each.operation } : { description: each.description, trade: each.trade, labour_fen: labour(each) }),
      labour_minutes: each.minutes,
      discount_fen: each.discount_fen,
      payer: each.payer,
      parts: each.parts.map(({ code, quantity, in_stock, unlisted, name, origin, unit_fen }) => ({
        code,
        quantity: String(quantity),
        in_stock,
        ...(unlisted ? { name, origin, unit_fen } : {}),
      })),
    })),
    total_fen: sum(total),
    payment_method: payment_method.value,
    old_parts: old_parts.value,
    check_first: check_first.checked,
  };
  if (promised_at.value) said.promised_at = `${promised_at.value}:00${document.querySelector("main").dataset.offset}`;
  else said.queue_minutes = Number(queue_minutes.value || 0);
  return JSON.stringify(said);
}

let sent, key;

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const outcome = form.querySelector(".outcome");
  const text = body();
  // The same quote sent again, after a failure or by a second click, is recorded once.
  if (sent !== text) [sent, key] = [text, [...crypto.getRandomValues(new Uint32Array(4))].map((n) => n.toString(16)).join("-")];
  try {
    const headers = { "Content-Type": "application/json", "Idempotency-Key": key };
    const answer = await fetch(form.getAttribute("action"), { method: "POST", headers, body: text });
    const said = await answer.json();
    if (answer.ok) return location.assign(said.position ? `${location.pathname}?min_position=${said.position}` : location.pathname);
    outcome.textContent = said.errors?.map((each) => `${each.field}: ${each.why}`).join("; ") || said.detail;
  } catch {
    outcome.textContent = document.body.dataset.unreachable;
  }
});

async function begin() {
  const [lists, { rules }] = await Promise.all([asked("/reception/v1/price-list"), asked("/reception/v1/rules")]);
  prices = held(lists.price_lists);
  const { bays } = held(rules);
  for (const each of known.lines ?? []) lines.push(again(each));
  for (const code of known.operations ?? []) if (of_code(prices.operations, code)) lines.push(line(of_code(prices.operations, code)));
  const open = Number(place.dataset.open);
  form.elements.queue_minutes.value = Math.ceil(open / bays);
  place.querySelector("[data-bays]").textContent = bays;
  place.querySelector("[data-version]").textContent = prices.version;
  place.querySelector("[data-search]").addEventListener("input", (event) => catalogue(event.target.value));
  place.querySelector("[data-free]").addEventListener("click", () => (lines.push({ ...line(), labour_fen: 0 }), show()));
  for (const button of document.querySelectorAll("[data-recommend]"))
    button.addEventListener("click", () => (lines.push({ ...line(), description: button.dataset.recommend, labour_fen: 0 }), show()));
  catalogue();
  show();
  place.dataset.ready = "";
}

begin().catch(() => (form.querySelector(".outcome").textContent = document.body.dataset.unreachable));
