/* Forms are sent without leaving the page; what comes back is the page as it is then, or what is wrong in words. */
document.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = event.submitter;
  const sent = new URLSearchParams(new FormData(event.target, button));
  try {
    /* Not the form's `action`: it has the password where the page's address was given with one, and is refused. */
    const answer = await fetch(location.origin + event.target.getAttribute("action"), { method: "POST", body: sent });
    const text = await answer.text();
    if (answer.ok) { live.take(text); live.say(`${button.getAttribute("aria-label")}: it is due now.`, false); }
    else live.say(text, true);
  } catch (error) {
    live.say("The receiver does not answer.", true);
  }
});
