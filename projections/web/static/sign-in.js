// The token comes in the fragment of the address, which no server and no log ever sees, and leaves it at once.
const form = document.getElementById("session");
const token = new URLSearchParams(location.hash.slice(1)).get("token");
const next = new URL(form.elements.next.value, location);

if (token) {
  history.replaceState(null, "", location.pathname + location.search);
  form.elements.token.value = token;
  form.requestSubmit();
} else if (location.pathname === "/sign-in" && next.origin === location.origin && !sessionStorage.getItem("returned")) {
  // Whoever follows a link from elsewhere comes without the strict cookie, though signed in: once more from here.
  sessionStorage.setItem("returned", "yes");
  location.replace(next);
}
// Another link pasted into the same tab changes the fragment only.
addEventListener("hashchange", () => location.reload());
