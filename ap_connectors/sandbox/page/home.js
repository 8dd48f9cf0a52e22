/* Buttons make control calls. */
(() => {
  const company = new URLSearchParams(location.search).get("company");

  async function control(label, verb, path, body) {
    const query = company ? `?company=${encodeURIComponent(company)}` : "";
    try {
      const sent = verb === "GET" || verb === "DELETE" ? {} : { body };
      const answer = await fetch(`/_control${path}${query}`, { method: verb, ...sent });
      const found = await answer.json();
      const unsent = found.sent === false ? " No webhook goes out: nothing is subscribed to it." : "";
      if (answer.ok) live.say(`${label}: done.${unsent}`, false);
      else live.say(found.message, true);
    } catch (error) {
      live.say("The sandbox does not answer.", true);
    }
    await live.refresh();
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
})();
