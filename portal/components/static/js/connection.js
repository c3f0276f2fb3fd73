// Says when a live page has lost its connection, and when it is back. NiceGUI's own notice is hidden by the stylesheet.
(() => {
  const PATIENCE = 600; // ms: a short break is nobody's business
  const GLAD = 3000;
  let lost, back;

  const part = (name) => document.querySelector(`#connection [data-${name}]`);
  function show(name) {
    for (const which of ["lost", "back"]) {
      const banner = part(which);
      if (banner) banner.hidden = which !== name;
    }
    const live = part("live");
    if (live) live.textContent = name ? part(name).textContent.trim() : "";
  }

  function disconnected() {
    // NiceGUI waits with what one does until its handshake is done: so what is done meanwhile is sent afterwards, not dropped
    window.did_handshake = false;
    clearTimeout(back);
    clearTimeout(lost);
    lost = setTimeout(() => show("lost"), PATIENCE);
  }

  function connected() {
    clearTimeout(lost);
    if (!part("lost") || part("lost").hidden) return;
    show("back");
    back = setTimeout(() => show(null), GLAD);
  }

  // The socket exists only after NiceGUI has started
  const timer = setInterval(() => {
    if (!window.socket) return;
    clearInterval(timer);
    window.socket.on("disconnect", disconnected);
    window.socket.on("connect", connected);
  }, 50);
})();
