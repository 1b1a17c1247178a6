// Shows a gate pass with its QR code, to print it.

const dialog = document.getElementById("pass");
const until = dialog.querySelector(".until");

async function show(address) {
  dialog.querySelector(".outcome").textContent = "";
  dialog.showModal();
  try {
    const answer = await fetch(address);
    const pass = await answer.json();
    if (!pass.qr) throw new Error(pass.detail ?? pass.state);
    const picture = new DOMParser().parseFromString(pass.qr, "text/html").querySelector("svg");
    dialog.querySelector(".qr").replaceChildren(picture);
    const at = new Date(pass.valid_until).toLocaleString(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short", timeZone: until.dataset.zone });
    until.textContent = `${until.dataset.words} ${at}`;
    dialog.querySelector(".token").textContent = pass.token;
  } catch (error) {
    dialog.querySelector(".outcome").textContent = error.message;
  }
}

document.addEventListener("click", ({ target }) => {
  if (target.dataset.showPass) show(target.dataset.showPass);
  else if ("print" in target.dataset) print();
  else if ("close" in target.dataset) dialog.close();
});
