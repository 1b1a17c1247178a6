// The parts of an added repair: its price is labour and parts together; what the parts leave of it is labour.

const rows = (form) => [...form.querySelectorAll("[data-part-row]")];
const fen = (yuan) => Math.round(Number(yuan) * 100);
const cost = (part) => Math.floor((2 * Math.round(Number(part.quantity) * 1000) * part.unit_fen + 1000) / 2000);
const sum = (form) => rows(form).reduce((all, row) => all + cost(part(row)), 0);

function part(row) {
  const of = (name) => row.querySelector(`[data-${name}]`).value;
  const in_stock = row.querySelector("[data-stock]").checked;
  return { code: of("code"), name: of("name"), origin: of("origin"), quantity: of("quantity"), unit_fen: fen(of("unit")), in_stock };
}

/** The price follows its parts; the labour stays what it was. */
function count(form) {
  const { price_fen: price, parts, labour_fen: labour } = form.elements;
  const before = Number(form.dataset.parts_fen ?? price.dataset.parts);
  const now = sum(form);
  if (now !== before && price.value) price.value = ((fen(price.value) + now - before) / 100).toFixed(2);
  form.dataset.parts_fen = now;
  const some = rows(form).length > 0;
  parts.value = some ? JSON.stringify(rows(form).map(part)) : "";
  labour.value = some ? fen(price.value) - now : "";
  price.setCustomValidity(labour.value < 0 ? price.dataset.less : "");
}

document.addEventListener("click", (event) => {
  const form = event.target.closest("form[data-repair]");
  if (!form) return;
  if (event.target.closest("[data-more]")) {
    const row = form.querySelector("template").content.firstElementChild.cloneNode(true);
    form.querySelector("[data-rows]").append(row);
    row.querySelector("input").focus();
  }
  if (event.target.closest("[data-remove]")) {
    event.target.closest("[data-part-row]").remove();
    count(form);
    form.querySelector("[data-more]").focus();
  }
});

document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-repair]");
  if (form) count(form);
});
