// What every page does, plain or live: popovers, theme, search, shortcuts, passwords, copying. All of it adds to what works without.
(() => {
  const root = document.documentElement;
  const find = (target, selector) => (target instanceof Element ? target.closest(selector) : null);
  const visible = (element) => element && element.offsetParent !== null;

  // ---------- clicks ----------
  const clicks = {
    "[data-show]": showPassword,
    "[data-copy]": copy,
    "[data-save]": save,
    "[data-print]": () => print(),
    "[data-step]": step,
    "[data-dialog]": (button) => document.getElementById(button.dataset.dialog)?.showModal?.(),
    "[data-close]": (button) => button.closest("dialog")?.close(),
  };
  document.addEventListener("click", (event) => {
    for (const [selector, act] of Object.entries(clicks)) {
      const on = find(event.target, selector);
      if (on) act(on);
    }
    // a link or an act within a popover has been taken: the popover is no longer needed
    const inside = find(event.target, "[popover] a[href], .menu[popover]:not(.panel) [data-act]:not(form)");
    if (inside && !event.defaultPrevented && (event.ctrlKey || event.metaKey)) return;
    if (inside) inside.closest("[popover]").hidePopover?.();
    closeOtherBoxes(event.target);
  });

  function showPassword(button) {
    const field = document.getElementById(button.dataset.show);
    if (!field) return;
    button.dataset.showWord ??= button.textContent;
    const hidden = field.type === "password";
    field.type = hidden ? "text" : "password";
    button.textContent = hidden ? button.dataset.hideWord : button.dataset.showWord;
    button.setAttribute("aria-pressed", String(hidden));
  }

  async function copy(button) {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
    } catch {
      return; // not allowed, or not https: the code can be picked by hand
    }
    const words = button.innerHTML;
    button.textContent = button.dataset.copied;
    setTimeout(() => (button.innerHTML = words), 2000);
  }

  function save(button) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([button.dataset.save], { type: "text/plain" }));
    link.download = button.dataset.name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  function step(button) {
    const field = button.parentElement.querySelector("input");
    if (Number(button.dataset.step) > 0) field.stepUp();
    else field.stepDown();
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.dispatchEvent(new Event("change", { bubbles: true }));
  }

  function closeOtherBoxes(target) {
    for (const box of document.querySelectorAll("[data-chips] > details[open]")) if (!box.parentElement.contains(target)) box.open = false;
  }

  // what unfolds to have somebody added shows at once who can be
  document.addEventListener("toggle", (event) => {
    const box = event.target instanceof HTMLDetailsElement && event.target.open && event.target.querySelector("[data-chips] > details");
    if (!box) return;
    box.open = true;
    box.querySelector("input")?.focus({ preventScroll: true });
  }, true);

  // ---------- popovers: where the browser cannot anchor them itself, they are put beside their button ----------
  const anchored = CSS.supports("position-area", "block-end span-inline-start") && CSS.supports("position-try-fallbacks", "flip-block");
  document.addEventListener("toggle", (event) => {
    const popover = event.target;
    if (!(popover instanceof HTMLElement) || !popover.popover) return;
    const button = document.querySelector(`[popovertarget="${CSS.escape(popover.id)}"]:not([popovertargetaction=hide])`);
    button?.setAttribute("aria-expanded", String(event.newState === "open"));
    if (event.newState === "open" && button && !anchored && popover.classList.contains("pop")) place(popover, button);
  }, true);

  function place(popover, button) {
    const at = button.getBoundingClientRect();
    const size = popover.getBoundingClientRect();
    const rtl = getComputedStyle(button).direction === "rtl";
    const alignEnd = popover.classList.contains("pop-end") !== rtl;
    const left = alignEnd ? at.right - size.width : at.left;
    const below = at.bottom + 4 + size.height <= innerHeight && !popover.classList.contains("pop-above");
    const top = below ? at.bottom + 4 : Math.max(8, at.top - size.height - 4);
    popover.style.setProperty("inset", "auto");
    popover.style.setProperty("left", `${Math.max(8, Math.min(left, innerWidth - size.width - 8))}px`);
    popover.style.setProperty("top", `${top}px`);
  }

  // ---------- theme ----------
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);

  document.addEventListener("submit", (event) => {
    const form = find(event.target, "[data-theme-form]");
    if (!form || !event.submitter) return;
    event.preventDefault();
    const toggles = event.submitter.hasAttribute("data-theme-toggle");
    show(toggles ? (isDark() ? "light" : "dark") : event.submitter.value, form.action);
  });

  function show(theme, address) {
    if (theme === "auto") delete root.dataset.theme;
    else root.dataset.theme = theme;
    window.Quasar?.Dark?.set(theme === "auto" ? "auto" : theme === "dark");
    for (const button of document.querySelectorAll("[data-theme-form] [aria-pressed]")) button.setAttribute("aria-pressed", String(button.value === theme));
    const body = new URLSearchParams({ theme });
    fetch(address, { method: "POST", body, redirect: "manual", keepalive: true }).catch(() => {}); // shown anyway; kept the next time
  }

  // ---------- keyboard ----------
  const typing = (target) => target instanceof Element && target.matches("input, textarea, select, [contenteditable=true]");

  document.addEventListener("keydown", (event) => {
    const command = event.ctrlKey || event.metaKey;
    if (command && !event.shiftKey && !event.altKey && event.key.toLowerCase() === "k") return void (focusSearch() && event.preventDefault());
    if (command && event.key === "Enter") return void (sendForm(event.target) && event.preventDefault());
    if (command || event.altKey || typing(event.target)) return;
    if (event.key === "/" && focusSearch()) event.preventDefault();
    if (event.key === "?") document.getElementById("shortcuts")?.showModal?.();
  });

  // The palette, where there is one; else the field in the bar, or the way to the list.
  function focusSearch() {
    const palette = document.getElementById("palette");
    if (palette?.showModal) {
      if (!palette.open) palette.showModal();
      palette.querySelector("input").select();
      return true;
    }
    const field = document.querySelector("[data-search]");
    if (visible(field)) {
      field.focus();
      field.select();
      return true;
    }
    const link = document.querySelector(".find-link");
    if (visible(link)) link.click();
    return visible(link);
  }

  // ---------- the palette: the server says what is found; here one moves between the lines ----------
  document.addEventListener("click", (event) => {
    const palette = document.getElementById("palette");
    if (!palette) return;
    if (event.target === palette) palette.close(); // beside it
    if (find(event.target, ".find-link") && !event.ctrlKey && !event.metaKey && focusSearch()) event.preventDefault();
    if (find(event.target, "#palette .palette-item") && !event.ctrlKey && !event.metaKey) palette.close();
  });
  document.addEventListener("pointerdown", (event) => {
    if (find(event.target, ".topbar .find") && document.getElementById("palette")) {
      event.preventDefault();
      focusSearch();
    }
  });
  document.addEventListener("submit", (event) => find(event.target, "dialog.palette")?.close());
  document.addEventListener("keydown", (event) => {
    const palette = find(event.target, "dialog.palette");
    if (!palette || event.isComposing) return;
    const lines = [...palette.querySelectorAll(".palette-item")];
    const at = lines.findIndex((line) => line.getAttribute("aria-selected") === "true");
    const to = { ArrowDown: at + 1, ArrowUp: at - 1 }[event.key];
    if (to !== undefined && lines.length) {
      event.preventDefault();
      choose(palette, lines, (to + lines.length) % lines.length);
    } else if (event.key === "Enter" && lines[at] && event.target.matches("input")) {
      const answered = palette.querySelector(".palette-list").dataset.query === event.target.value.trim().replace(/\s+/g, " ");
      if (!answered) return; // the lines are of what was typed before: the form leads to the list
      event.preventDefault();
      if (event.ctrlKey || event.metaKey) open(lines[at].href, "_blank", "noopener");
      else lines[at].click();
    }
  });

  function choose(palette, lines, to) {
    for (const [n, line] of lines.entries()) line.setAttribute("aria-selected", String(n === to));
    palette.querySelector("input").setAttribute("aria-activedescendant", lines[to].id);
    lines[to].scrollIntoView({ block: "nearest" });
  }

  function sendForm(target) {
    const form = target instanceof HTMLTextAreaElement && target.form;
    if (!form) return false;
    const button = [...form.elements].find((element) => element.type === "submit" && !element.disabled && visible(element));
    form.requestSubmit(button ?? null);
    return true;
  }

  // ---------- dialogs: Esc does what their own way out does, so that the server hears of it ----------
  document.addEventListener("cancel", (event) => {
    const way = event.target instanceof HTMLDialogElement && event.target.querySelector("[data-close][data-act]");
    if (!way) return;
    event.preventDefault();
    way.click();
  }, true);

  // ---------- files: dropped on, or pasted into the form of, a field that takes some; where one form does, anywhere ----------
  const dropZone = (target) => find(target, "[data-drop], form:has([data-attach])") ?? onlyForm();
  function onlyForm() {
    const forms = [...document.querySelectorAll("form:has([data-attach])")].filter(visible);
    return forms.length === 1 ? forms[0] : null;
  }
  const fileField = (zone) => zone?.querySelector("input[type=file]");
  for (const type of ["dragover", "dragleave", "drop"]) document.addEventListener(type, (event) => {
    const zone = dropZone(event.target);
    if (!zone || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    zone.classList.toggle("is-over", type === "dragover");
    if (type === "drop") takeFiles(fileField(zone), event.dataTransfer.files);
  });
  document.addEventListener("paste", (event) => {
    const field = fileField(find(event.target, "form") ?? onlyForm());
    if (field && event.clipboardData?.files.length) {
      event.preventDefault();
      takeFiles(field, event.clipboardData.files);
    }
  });

  function takeFiles(field, files) {
    if (!field || !files.length) return;
    field.files = files;
    field.dispatchEvent(new Event("change", { bubbles: true }));
  }

  // ---------- search within chips ----------
  document.addEventListener("input", (event) => {
    const field = find(event.target, "[data-chips-search]");
    if (!field) return;
    event.stopPropagation(); // what one looks for is not part of the form
    const words = field.value.trim().toLocaleLowerCase();
    for (const chip of field.closest("[data-chips]").querySelectorAll("[data-words]"))
      chip.classList.toggle("is-out", !chip.dataset.words.toLocaleLowerCase().includes(words));
  }, true);

  // ---------- the text of a file goes into a field; the file itself is sent nowhere ----------
  document.addEventListener("change", async (event) => {
    const file = find(event.target, "input[type=file][data-into]");
    const field = file && document.getElementById(file.dataset.into);
    if (!field || !file.files.length) return;
    event.stopPropagation();
    const bytes = new Uint8Array(await file.files[0].slice(0, 500_000).arrayBuffer());
    const wide = bytes[0] === 0xff && bytes[1] === 0xfe ? "utf-16le" : bytes[0] === 0xfe && bytes[1] === 0xff ? "utf-16be" : "utf-8";
    let text;
    try {
      text = new TextDecoder(wide, { fatal: true }).decode(bytes);
    } catch {
      text = new TextDecoder("windows-1252").decode(bytes); // as older spreadsheets write it
    }
    field.value = text.slice(0, 199_000);
    file.value = "";
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.focus();
  }, true);

  // ---------- what needs scripts shows itself only now ----------
  const ready = (element) => {
    for (const hidden of element.querySelectorAll("[data-show][hidden], [data-chips-search][hidden]")) hidden.hidden = false;
    for (const dialog of element.querySelectorAll("dialog[data-open]:not([open])")) dialog.showModal();
  };
  const start = () => {
    ready(document);
    new MutationObserver((changes) => {
      for (const change of changes) for (const node of change.addedNodes) if (node.nodeType === 1) ready(node.parentElement ?? node);
    }).observe(document.body, { childList: true, subtree: true });
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();

  window.portal = { ...window.portal, showTheme: show, focusSearch };
})();
