// The versions of a site's rules side by side, and a form that begins with the last of them.

const { offset, zone } = document.querySelector("main").dataset;
const language = document.documentElement.lang;
const lines = (text) => text.split("\n").map((line) => line.trim()).filter(Boolean);
const cells = (line) => line.split(/[;；]/).map((cell) => cell.trim());
const number = (text) => (text.trim() === "" ? null : Number(text));
const yuan = (fen) => (fen / 100).toFixed(2);
const fen = (text) => (text.trim() === "" ? null : Math.round(Number(text) * 100));
const hours = (periods) => periods.map((each) => `${each.opens.slice(0, 5)}-${each.closes.slice(0, 5)}`).join(", ") || "–";
const weekday = (n) => new Date(Date.UTC(2024, 0, n + 1)).toLocaleDateString(language, { weekday: "short", timeZone: "UTC" });

/** What is no period is sent as it is: the answer says where it stands. */
const periods = (text) =>
  text.split(/[,，]/).map((each) => each.trim()).filter((each) => each && each !== "–" && each !== "-").map((each) => {
    const [opens, closes] = each.split(/\s*[-–]\s*/);
    return { opens, closes: closes ?? "" };
  });

const FORMATS = {
  text: { show: String, read: String },
  number: { show: String, read: number },
  fen: { show: yuan, read: fen },
  flag: { show: String, read: (text) => text === "true" },
  numbers: { show: (all) => all.join(", "), read: (text) => text.split(/[,，]/).map(number) },
  words: { show: (all) => all.join(", "), read: (text) => text.split(/[,，]/).map((word) => word.trim()) },
  periods: { show: hours, read: periods },
  week: {
    show: (days) => days.map((day, n) => `${weekday(n)} ${hours(day)}`).join("\n"),
    read: (text) => lines(text).map((line) => periods(line.replace(/^\S+\s+/, ""))),
  },
  days: {
    show: (days) => Object.entries(days).map(([day, periods]) => `${day} ${hours(periods)}`).join("\n"),
    read: (text) => Object.fromEntries(lines(text).map((line) => [line.split(/\s+/)[0], periods(line.replace(/^\S+\s*/, ""))])),
  },
  operations: {
    show: (all) => all.map((each) => [each.code, each.name, each.group, each.trade, each.labour_minutes].join("; ")).join("\n"),
    read: (text) => lines(text).map(cells).map(([code, name, group, trade, minutes = ""]) => ({ code, name, group, trade, labour_minutes: number(minutes) })),
  },
  priced_parts: {
    show: (all) => all.map((each) => [each.code, each.name, each.group, each.origin, yuan(each.unit_fen)].join("; ")).join("\n"),
    read: (text) => lines(text).map(cells).map(([code, name, group, origin, price = ""]) => ({ code, name, group, origin, unit_fen: fen(price) })),
  },
};

const ITEMS = new Set(["operations", "priced_parts"]);

/** A line of the text for each row. */
function table(text) {
  const table = document.createElement("table");
  for (const line of lines(text)) {
    const row = table.insertRow();
    for (const cell of cells(line)) row.insertCell().textContent = cell;
  }
  return table;
}

const at = (version, path) => path.split(".").reduce((value, name) => value?.[name], version);

function put(version, path, value) {
  const [name, inner] = path.split(".");
  if (!inner) version[name] = value;
  else if (value === null) delete version[name][inner];
  else version[name] = { ...version[name], [inner]: value };
}

const held = (versions) => versions.filter((each) => new Date(each.effective) <= new Date()).sort((a, b) => new Date(a.effective) - new Date(b.effective) || a.version - b.version).at(-1) ?? versions[0];

class Rules {
  constructor(place) {
    this.place = place;
    this.form = place.querySelector("form");
    this.form.addEventListener("submit", (event) => (event.preventDefault(), this.publish()));
  }

  async read() {
    const { rules, all, site } = this.place.dataset;
    const versions = (await (await fetch(`${rules}?site=${encodeURIComponent(site)}`)).json())[all];
    const now = held(versions);
    const later = versions.filter((each) => new Date(each.effective) > new Date()).sort((a, b) => new Date(a.effective) - new Date(b.effective));
    for (const cell of this.place.querySelectorAll("thead th + th, tbody td")) cell.remove();
    for (const each of [now, ...later]) this.column(each, each !== now);
    this.last = versions.reduce((last, each) => (each.version > last.version ? each : last));
    this.place.querySelector("[data-next]").textContent = this.last.version + 1;
    for (const row of this.rows()) {
      const value = at(this.last, row.dataset.path);
      this.form.elements[row.dataset.path].value = value === undefined ? "" : FORMATS[row.dataset.format].show(value);
    }
  }

  rows() {
    return this.place.querySelectorAll("[data-path]");
  }

  column(version, later) {
    const head = this.place.querySelector("template").content.firstElementChild.cloneNode(true);
    head.querySelector(`[data-held=${later ? "later" : "now"}]`).hidden = false;
    head.querySelector("time").textContent = new Date(version.effective).toLocaleString(language, { dateStyle: "medium", timeStyle: "short", timeZone: zone });
    head.querySelector("[data-version]").textContent = version.version;
    this.place.querySelector("thead tr").append(head);
    for (const row of this.rows()) {
      const value = at(version, row.dataset.path);
      const field = this.form.elements[row.dataset.path];
      const text = value === undefined ? "–" : FORMATS[row.dataset.format].show(value);
      const word = field.options && [...field.options].find((option) => option.value === text)?.textContent;
      const cell = document.createElement("td");
      cell.append(ITEMS.has(row.dataset.format) ? table(text) : (word ?? text));
      row.append(cell);
    }
  }

  body() {
    const next = structuredClone(this.last);
    next.version += 1;
    next.effective = `${this.form.elements.effective.value}:00${offset}`;
    for (const row of this.rows()) put(next, row.dataset.path, FORMATS[row.dataset.format].read(this.form.elements[row.dataset.path].value));
    if (next.opening) Object.assign(next.opening, { version: next.version, owner: next.owner, effective: next.effective });
    return JSON.stringify({ [this.place.dataset.one]: next, site: this.place.dataset.site });
  }

  async publish() {
    const button = this.form.querySelector("button");
    button.disabled = true;
    try {
      const text = this.body();
      if (this.sent !== text) [this.sent, this.key] = [text, crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`];
      const headers = { "Content-Type": "application/json", "Idempotency-Key": this.key };
      const answer = await fetch(this.place.dataset.rules, { method: "POST", headers, body: text });
      const said = await answer.json();
      this.explain(answer.ok ? {} : said);
      if (!answer.ok) return;
      await this.read();
      this.form.elements.effective.value = "";
      this.place.querySelector("details").open = false;
      document.getElementById("said").textContent = document.body.dataset.recorded;
      this.place.querySelector("h2").focus();
    } catch {
      this.explain({ detail: document.body.dataset.unreachable });
    } finally {
      button.disabled = false;
    }
  }

  /** Each reason stands at the field that it is about. */
  explain({ detail = "", errors = [] }) {
    const rest = [];
    for (const why of this.form.querySelectorAll("[data-why]")) why.textContent = "";
    for (const field of this.form.elements) field.removeAttribute("aria-invalid");
    for (const { field, why } of errors) {
      const path = field.slice(this.place.dataset.one.length + 1);
      const place = [...this.form.querySelectorAll("[data-why]")].find(({ dataset }) => path === dataset.why || path.startsWith(`${dataset.why}.`));
      if (!place) rest.push(`${path || field}: ${why}`);
      else {
        const inside = path.slice(place.dataset.why.length + 1).replace(/^\d+/, (n) => Number(n) + 1);
        place.textContent += `${inside ? `${inside}: ` : ""}${why} `;
        this.form.elements[place.dataset.why].setAttribute("aria-invalid", "true");
      }
    }
    this.form.querySelector(".outcome").textContent = errors.length ? rest.join("; ") : detail;
    this.form.querySelector("[aria-invalid]")?.focus();
  }
}

for (const place of document.querySelectorAll("[data-rules]")) await new Rules(place).read();
