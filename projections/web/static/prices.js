// The price list of a site, as it holds now and as it will.

const place = document.getElementById("prices");
const words = document.getElementById("words").content;
const money = (fen) => "¥" + (fen / 100).toLocaleString("en", { minimumFractionDigits: 2 });

function row(...texts) {
  const tr = document.createElement("tr");
  for (const text of texts) tr.append(Object.assign(document.createElement("td"), { textContent: text }));
  return tr;
}

function shown(list, later) {
  const section = document.getElementById("list").content.firstElementChild.cloneNode(true);
  const when = section.querySelector("[data-when]");
  when.textContent = later ? `${when.dataset.later} ${new Date(list.effective).toLocaleDateString(document.documentElement.lang)}` : when.dataset.now;
  section.querySelector("[data-version]").textContent = list.version;
  for (const [trade, fen] of Object.entries(list.labour_hour_fen)) {
    const name = words.querySelector(`[data-trade="${trade}"]`).textContent;
    section.querySelector("[data-hours]").append(
      Object.assign(document.createElement("dt"), { textContent: name }),
      Object.assign(document.createElement("dd"), { textContent: money(fen) }),
    );
  }
  for (const each of list.operations) {
    const hour = list.labour_hour_fen[each.trade] ?? 0;
    section.querySelector("[data-operations]").append(row(each.name, each.labour_minutes, money(Math.floor((2 * hour * each.labour_minutes + 60) / 120))));
  }
  for (const each of list.parts)
    section.querySelector("[data-parts]").append(row(each.name, words.querySelector(`[data-origin="${each.origin}"]`).textContent, money(each.unit_fen)));
  return section;
}

const { now, announced } = await (await fetch(place.dataset.url)).json();
place.append(...announced.map((each) => shown(each, true)), shown(now, false));
