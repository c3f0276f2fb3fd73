// Says before a session ends for want of use, and lets one stay. What an open page does by itself keeps no session alive, so it asks
// seldom: when the end could be near, and when the page is looked at again.
(() => {
  const WARN = 120, AGAIN = 10, FIRST = 30; // seconds
  let timer;

  const banner = () => document.getElementById("idle");
  function show(left) {
    const shown = banner();
    if (!shown) return;
    const minutes = Math.max(1, Math.ceil(left / 60));
    shown.querySelector("[data-left]").textContent = shown.dataset[minutes === 1 ? "one" : "many"].replace("{n}", minutes);
    shown.hidden = false;
  }
  function later(seconds) {
    clearTimeout(timer);
    timer = setTimeout(look, Math.min(seconds, 86400) * 1000);
  }

  async function look(_event, method = "GET") {
    try {
      const answer = await fetch("/me/session", { method, cache: "no-store", redirect: "manual" });
      if (answer.type === "opaqueredirect" || answer.status === 401) return over();
      if (!answer.ok) return later(60);
      const { left } = await answer.json();
      if (left <= WARN) show(left);
      else if (banner()) banner().hidden = true;
      later(left <= WARN ? Math.min(AGAIN, left + 1) : left - WARN + 1);
    } catch { later(60); } // no connection: that is said elsewhere
  }

  // Where one signs in again leads back here; the tab keeps what was typed, and could send it nowhere now
  function over() {
    clearTimeout(timer);
    location.reload();
  }

  document.addEventListener("click", (event) => {
    if (event.target.closest("#idle [data-stay]")) look(event, "POST");
  });
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && look());
  addEventListener("pageshow", (event) => event.persisted && look());
  later(FIRST);
})();
