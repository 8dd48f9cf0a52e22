
/* What happened since: shown again every five seconds, unless somebody reads, types or is about to press a button. */
setInterval(async () => {
  const live = document.getElementById("live");
  const busy = live.contains(document.activeElement) || [...live.querySelectorAll("input[type=search]")].some((one) => one.value);
  if (document.hidden || busy || String(getSelection())) return;
  try {
    const answer = await fetch("/", { credentials: "same-origin" });
    if (!answer.ok) return;
    const next = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live");
    if (next && next.innerHTML !== live.dataset.last) {
      live.dataset.last = next.innerHTML;
      live.replaceChildren(...next.childNodes);
      prepare(live);
    }
  } catch { /* The receiver is being started again; the next try shows it. */ }
}, 5000);
