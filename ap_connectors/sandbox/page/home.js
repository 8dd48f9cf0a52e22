/* Buttons make control calls, and the page asks for itself again: what differs is put in its place. */
(() => {
  const company = new URLSearchParams(location.search).get("company");
  const told = document.getElementById("told");
  let asking = false;

  /* Good news goes after a while. */
  function say(words, bad) {
    told.textContent = words;
    told.classList.toggle("bad", bad);
    clearTimeout(say.timer);
    if (!bad) say.timer = setTimeout(() => { told.textContent = ""; }, 8000);
  }

  async function control(label, verb, path, body) {
    const query = company ? `?company=${encodeURIComponent(company)}` : "";
    try {
      const sent = verb === "GET" || verb === "DELETE" ? {} : { body };
      const answer = await fetch(`/_control${path}${query}`, { method: verb, ...sent });
      const found = await answer.json();
      const unsent = found.sent === false ? " No webhook goes out: nothing is subscribed to it." : "";
      if (answer.ok) say(`${label}: done.${unsent}`, false);
      else say(found.message, true);
    } catch (error) {
      say("The sandbox does not answer.", true);
    }
    await refresh();
  }

  async function refresh() {
    if (asking) return;
    asking = true;
    try {
      const answer = await fetch(location.href, { cache: "no-store" });
      if (!answer.ok) throw new Error(answer.statusText);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of document.querySelectorAll("[data-live]")) put(part, fresh.querySelector(`[data-live="${part.dataset.live}"]`));
      if (told.dataset.lost) { delete told.dataset.lost; say("", false); }
    } catch (error) {
      told.dataset.lost = "yes";
      say("The sandbox does not answer; what is shown is what it said last.", true);
    }
    asking = false;
  }

  function put(part, fresh) {
    if (!fresh || part.innerHTML === fresh.innerHTML) return;
    const wide = part.querySelector(".wide");
    const [left, focused] = [wide && wide.scrollLeft, part.contains(document.activeElement) && document.activeElement];
    const place = [...part.querySelectorAll("button, a")].indexOf(focused);
    part.replaceChildren(...fresh.childNodes);
    if (left) part.querySelector(".wide").scrollLeft = left;
    if (!focused) return;
    /* Where a button has gone, the one in its place gets the focus, and not the top of the page. */
    const now = [...part.querySelectorAll("button, a")];
    (now.find((one) => same(one, focused)) || now[Math.min(place, now.length - 1)])?.focus({ preventScroll: true });
  }

  function same(one, other) {
    return one.tagName === other.tagName && (one.dataset.id ? one.dataset.id === other.dataset.id : !other.dataset.id && one.getAttribute("href") === other.getAttribute("href"));
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-path]");
    if (button) control(button.textContent, button.dataset.verb, button.dataset.path, button.dataset.body);
  });
  document.getElementById("company")?.addEventListener("change", (event) => event.target.form.submit());
  document.getElementById("fault")?.addEventListener("submit", (event) => {
    event.preventDefault();
    const given = Object.fromEntries(new FormData(event.target));
    const order = { kind: given.kind, path: given.path, times: Number(given.times) };
    if (given.status) order.status = Number(given.status);
    control("Fault", "POST", "/faults", JSON.stringify(order));
  });
  setInterval(() => { if (document.visibilityState === "visible") refresh(); }, 2000);
})();
