// Adds the settlement up while discounts are typed; the house adds it up once more.

const fen = (field) => Math.round(Number(field.value || 0) * 100);

function add(form) {
  const lines = [...form.querySelectorAll("[data-line]")];
  const off = lines.filter((field) => fen(field)).map((field) => [field.dataset.line, fen(field)]);
  const sum = lines.reduce((total, field) => total + Number(field.dataset.fen) - fen(field), 0);
  const total = sum - fen(form.elements.discount_fen);
  form.elements.discounts.value = JSON.stringify(Object.fromEntries(off));
  form.elements.total_fen.value = total;
  form.querySelector("output").textContent = (total / 100).toFixed(2);
}

const ours = (form) => form?.matches(".prepare") && add(form);
document.addEventListener("input", (event) => ours(event.target.form));
document.addEventListener("toggle", (event) => ours(event.target.querySelector("form")), true);
document.addEventListener("submit", (event) => ours(event.target), true);
document.querySelectorAll("form.prepare").forEach(add);
