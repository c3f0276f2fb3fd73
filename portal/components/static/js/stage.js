// Where the screens stand. Moving between them does not reload the frame: a plain link below the root becomes the event `go`,
// the server builds the screen, and the address, the history, the scroll position and the focus follow.
const SLOW = 300; // ms until a skeleton stands in for what comes

export default {
  template: `<div><slot></slot></div>`,
  props: { root: String },
  mounted() {
    this.number = 0;
    this.shown = location.pathname + location.search;
    this.y = 0;
    history.scrollRestoration = "manual";
    document.addEventListener("click", this.clicked);
    document.addEventListener("submit", this.searched);
    addEventListener("popstate", this.popped);
  },
  unmounted() {
    document.removeEventListener("click", this.clicked);
    document.removeEventListener("submit", this.searched);
    removeEventListener("popstate", this.popped);
  },
  methods: {
    inside(url) {
      return url.origin === location.origin && (url.pathname === this.root || url.pathname.startsWith(this.root + "/"));
    },
    clicked(event) {
      if (event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
      const link = event.target.closest?.("a[href]");
      if (!link || (link.target && link.target !== "_self") || link.hasAttribute("download")) return;
      const url = new URL(link.href, location.href);
      if (!this.inside(url)) return;
      if (url.hash && url.pathname === location.pathname && url.search === location.search) return;
      event.preventDefault();
      this.go(url.pathname + url.search);
    },
    // a search form is a link whose end one types
    searched(event) {
      const form = event.target;
      if (event.defaultPrevented || form.method !== "get" || !form.action) return;
      const url = new URL(form.action, location.href);
      if (!this.inside(url)) return;
      event.preventDefault();
      url.search = new URLSearchParams([...new FormData(form)].filter(([, value]) => value)).toString();
      this.go(url.pathname + url.search);
    },
    go(path) {
      history.replaceState({ ...history.state, y: scrollY }, "");
      history.pushState({ y: 0 }, "", path);
      this.begin(path, 0);
    },
    popped(event) {
      const here = location.pathname + location.search;
      if (here === this.shown) return; // only the part after # has changed
      this.begin(location.pathname + location.search, event.state?.y ?? 0);
    },
    begin(path, y) {
      this.shown = path;
      this.number += 1;
      this.y = y;
      for (const open of document.querySelectorAll("[popover]:popover-open")) open.hidePopover();
      this.$el.setAttribute("aria-busy", "true");
      clearTimeout(this.slow);
      this.slow = setTimeout(() => this.$el.classList.add("is-slow"), SLOW);
      this.$emit("go", { path, number: this.number });
    },
    // ---------- called by the server ----------
    arrived(number) {
      if (number !== this.number) return;
      clearTimeout(this.slow);
      this.$el.classList.remove("is-slow");
      this.$el.removeAttribute("aria-busy");
      if (number === 0) return; // the first screen came with the page: whoever types already is not disturbed
      requestAnimationFrame(() => {
        scrollTo(0, this.y);
        if (document.activeElement && document.activeElement !== document.body && document.activeElement.closest("[data-search]")) return;
        const title = this.$el.querySelector("h1");
        title?.setAttribute("tabindex", "-1");
        title?.focus({ preventScroll: true });
        document.dispatchEvent(new Event("arrived"));
      });
    },
    address(path, replace) {
      this.shown = path;
      if (replace) history.replaceState({ ...history.state, y: scrollY }, "", path);
      else {
        history.replaceState({ ...history.state, y: scrollY }, "");
        history.pushState({ y: 0 }, "", path);
      }
    },
    leadTo(path) {
      this.go(path);
    },
    download(path) {
      const link = Object.assign(document.createElement("a"), { href: path, download: "" });
      document.body.append(link);
      link.click();
      link.remove();
    },
    say(words, kind) {
      const place = document.getElementById("toasts");
      if (!place) return;
      const toast = Object.assign(document.createElement("div"), { className: "toast", textContent: words });
      if (kind) toast.dataset.kind = kind;
      place.append(toast);
      setTimeout(() => toast.remove(), kind === "bad" ? 10000 : 6000);
    },
  },
};
