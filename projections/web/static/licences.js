// Who is licensed for which work, read anew after each entry.

const place = document.getElementById("licences");
const today = new Date().toLocaleDateString("sv", { timeZone: place.dataset.zone });

function shown({ person, trade, test_percent, valid_until }) {
  const row = place.querySelector("template").content.firstElementChild.cloneNode(true);
  const set = (name, text) => (row.querySelector(`[data-of="${name}"]`).textContent = text);
  set("person", person);
  set("percent", `${test_percent} %`);
  set("until", valid_until);
  row.querySelector(`[data-trade="${trade}"]`).hidden = false;
  row.querySelector("[data-ended]").hidden = valid_until >= today;
  return row;
}

async function read() {
  const { licences } = await (await fetch("/workshop/v1/licences")).json();
  place.querySelector("tbody").replaceChildren(...licences.map(shown));
  place.querySelector("[data-none]").hidden = licences.length > 0;
}

place.addEventListener("recorded", (event) => (event.target.reset(), read()));
await read();
