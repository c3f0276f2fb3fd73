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
