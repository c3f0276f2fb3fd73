// The first paint goes when the live page is mounted: by then every island has taken its part of it over.
(() => {
  const gone = () => document.getElementById("ssr")?.remove();
  const watch = (app) => {
    if (app.firstElementChild) return gone();
    new MutationObserver((_changes, observer) => {
      if (!app.firstElementChild) return;
      observer.disconnect();
      gone();
    }).observe(app, { childList: true });
  };
  const start = () => {
    const app = document.getElementById("app");
    if (app && document.getElementById("ssr")) watch(app);
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();

// NiceGUI's scripts start when the first paint has been seen: at once, they would keep the rest of the page from the screen.
(() => {
  const start = () => {
    for (const later of document.querySelectorAll("script[data-later]")) {
      const script = Object.assign(document.createElement("script"), { async: false, nonce: later.nonce });
      if (later.dataset.later === "module") script.type = "module";
      if (later.dataset.src) script.src = later.dataset.src;
      else script.textContent = later.textContent;
      later.replaceWith(script);
    }
  };
  let begun = false;
  const begin = () => {
    if (begun) return;
    begun = true;
    if (document.hidden) start(); // nothing is painted there
    else requestAnimationFrame(() => setTimeout(start));
  };
  const parsed = () => {
    setTimeout(begin, 1000);
    if (document.hidden) return begin();
    new PerformanceObserver((list) => list.getEntriesByName("first-contentful-paint").length && begin()).observe({ type: "paint", buffered: true });
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", parsed);
  else parsed();
})();
