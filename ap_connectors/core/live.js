/* The page of a server asks for itself again: parts with `data-live` are put in the place of those before, and #told says what happens. */
const live = (() => {
  const told = document.getElementById("told");
  let [asking, lost, timer] = [false, false, 0];

  /* Good news goes after a while. */
  function say(words, bad) {
    told.textContent = words;
    told.classList.toggle("bad", bad);
    clearTimeout(timer);
    if (!bad) timer = setTimeout(() => { told.textContent = ""; }, 8000);
  }

  async function refresh() {
    if (asking) return;
    asking = true;
    try {
      const answer = await fetch(location.href, { cache: "no-store" });
      if (!answer.ok) throw new Error(answer.statusText);
      take(await answer.text());
      if (lost) { lost = false; say("", false); }
    } catch (error) {
      lost = true;
      say(`${told.dataset.server} does not answer; what is shown is what it said last.`, true);
    }
    asking = false;
  }

  function take(text) {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    for (const part of document.querySelectorAll("[data-live]")) put(part, fresh.querySelector(`[data-live="${part.dataset.live}"]`));
    document.title = fresh.title;
  }

  function put(part, fresh) {
    if (!fresh) return;
    prepare(fresh);
    const before = [...part.querySelectorAll(".wide")];
    fresh.querySelectorAll(".wide").forEach((one, number) => one.classList.toggle("stacked", Boolean(before[number]?.classList.contains("stacked"))));
    if (part.innerHTML === fresh.innerHTML) return;
    const wide = part.querySelector(".wide");
    const [left, focused] = [wide && wide.scrollLeft, part.contains(document.activeElement) && document.activeElement];
    const place = [...part.querySelectorAll("button, a")].indexOf(focused);
    part.replaceChildren(...fresh.childNodes);
    fit();
    if (left) part.querySelector(".wide").scrollLeft = left;
    if (!focused) return;
    /* Where a button has gone, the one in its place gets the focus, and not the top of the page. */
    const now = [...part.querySelectorAll("button, a")];
    (now.find((one) => same(one, focused)) || now[Math.min(place, now.length - 1)])?.focus({ preventScroll: true });
  }

  function same(one, other) {
    return one.tagName === other.tagName && (one.dataset.id ? one.dataset.id === other.dataset.id : !other.dataset.id && one.getAttribute("href") === other.getAttribute("href"));
  }

  if (told) setInterval(() => { if (document.visibilityState === "visible") refresh(); }, 2000);
  return { say, refresh, take };
})();
