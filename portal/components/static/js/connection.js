// Says when a live page has lost its connection, and when it is back. NiceGUI's own notice is hidden by the stylesheet.
(() => {
  const PATIENCE = 600; // ms: a short break is nobody's business
  const GLAD = 3000;
  const APART = 1000; // ms: not all pages of a process that ended come to another one at once
  let lost, back, leaving = false;

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
    if (leaving) return;
    // NiceGUI waits with what one does until its handshake is done: so what is done meanwhile is sent afterwards, not dropped
    window.did_handshake = false;
    clearTimeout(back);
    clearTimeout(lost);
    lost = setTimeout(() => show("lost"), PATIENCE);
    setTimeout(refused, 100 + Math.random() * APART); // where another process stands in, it answers already
  }

  function connected() {
    clearTimeout(lost);
    if (!part("lost") || part("lost").hidden) return;
    show("back");
    back = setTimeout(() => show(null), GLAD);
  }

  // The portal was started anew, another process answers now, or it has not heard of us for too long: it answers, but no longer
  // knows this page. The page is loaded again then; what was typed into a form is saved before, and files on their way arrive.
  async function refused() {
    try {
      const answer = await fetch(`/_nicegui/client/${window.clientId}/known`, { cache: "no-store" });
      if (answer.status !== 403 || window.socket.connected) return;
      await window.portal?.writing?.settled();
      location.reload();
    } catch { /* it does not answer: the next attempt comes */ }
  }

  // The browser knows sooner than the socket does
  addEventListener("offline", () => {
    clearTimeout(lost);
    lost = setTimeout(() => show("lost"), PATIENCE);
  });
  addEventListener("online", () => window.socket?.connected && connected());

  // Whoever signs out is led by the answer to that, not to where pages go whose session was ended elsewhere.
  document.addEventListener("submit", (event) => {
    if (event.target.getAttribute("action") !== "/auth/signout") return;
    leaving = true;
    window.socket?.disconnect();
  });

  // The socket exists only after NiceGUI has started
  const timer = setInterval(() => {
    if (!window.socket) return;
    clearInterval(timer);
    window.socket.on("disconnect", disconnected);
    window.socket.on("connect", connected);
    window.socket.on("connect_error", refused);
  }, 50);
})();
