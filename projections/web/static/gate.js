// The gate: what is scanned is used at once; without a connection its signature is checked here.

const main = document.querySelector("main");
const form = document.getElementById("scan");
const field = form.elements.token;
const verdict = document.getElementById("verdict");
const words = verdict.dataset;
const KEY = "gate key";

const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));

/** What the token says of itself; empty for what is no token. */
function said(token) {
  try {
    return JSON.parse(new TextDecoder().decode(bytes(token.split(".")[1])));
  } catch {
    return {};
  }
}

function show(stands, sentence, token) {
  verdict.className = `verdict ${stands}`;
  verdict.querySelector(".sign").textContent = { opens: "✓", stops: "✕", unsure: "?" }[stands];
  verdict.querySelector("h2").textContent = stands === "stops" ? words.stop : words.open;
  const vin = stands === "stops" ? "" : (said(token).vin ?? "");
  verdict.querySelector(".vin").replaceChildren(...(vin ? [`${words.vin} `, Object.assign(document.createElement("b"), { textContent: vin })] : []));
  verdict.querySelector(".sentence").textContent = sentence;
}

async function signed(token) {
  const [head, payload, signature] = token.split(".");
  const pem = localStorage.getItem(KEY).replaceAll(/-----[^-]+-----|\s/g, "");
  const key = await crypto.subtle.importKey("spki", bytes(pem), "Ed25519", false, ["verify"]);
  return crypto.subtle.verify("Ed25519", key, bytes(signature), new TextEncoder().encode(`${head}.${payload}`));
}

/** Nobody can be asked whether it was used or revoked; whether it is real and not too old shows here. */
async function alone(token) {
  const known = said(token);
  if (!localStorage.getItem(KEY) || !crypto.subtle) return show("stops", words.unknown, token);
  let real = false;
  try {
    real = token.startsWith("BLG1.") && (await signed(token));
  } catch (error) {
    if (error.name === "NotSupportedError") return show("stops", words.unknown, token);
  }
  if (!real) show("stops", words.forged, token);
  else if (main.dataset.site && known.site !== main.dataset.site) show("stops", words.elsewhere, token);
  else if (new Date(known.until) < new Date()) show("stops", words.expired, token);
  else show("unsure", words.offline, token);
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const token = field.value.trim();
  field.value = "";
  field.focus();
  verdict.className = "verdict";
  form.querySelector(".outcome").textContent = "";
  try {
    const headers = { "Content-Type": "application/json", "Idempotency-Key": crypto.randomUUID?.() ?? String(Math.random()) };
    const answer = await fetch(form.action, { method: "POST", headers, body: JSON.stringify({ token }), signal: AbortSignal.timeout(5000) });
    if (answer.status >= 500) throw new Error(answer.status); // nobody could say: as without a connection
    const told = await answer.json();
    if (answer.status === 401) return (form.querySelector(".outcome").textContent = words.again);
    answer.ok ? show("opens", "", token) : show("stops", told.detail ?? "", token);
  } catch {
    await alone(token);
  }
});

// A scanner types wherever the focus is.
document.addEventListener("visibilitychange", () => document.hidden || field.focus());
fetch("/reception/v1/gate-key")
  .then((answer) => answer.ok && answer.text())
  .then((pem) => pem && localStorage.setItem(KEY, pem))
  .catch(() => {});
