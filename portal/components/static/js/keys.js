// Working through tickets by keyboard, and lists in which nothing moves while somebody is at them.
(() => {
  const visible = (element) => element && element.offsetParent !== null;
  const KEYLESS = "textarea, select, [contenteditable=true], input:not([type=checkbox], [type=radio], [type=button], [type=submit])";
  const taken = (event) =>
    event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || event.isComposing
    || (event.target instanceof Element && event.target.matches(KEYLESS))
    || document.querySelector("dialog[open], .q-dialog, [popover]:popover-open");
  let write = ""; // reply or note: wanted on the ticket that is being opened

  document.addEventListener("keydown", (event) => {
    if (taken(event)) return;
    const does = document.querySelector(".queue") ? inList[event.key] : onTicket[event.key];
    if (does && does(event.target)) event.preventDefault();
  });

  // ---------- in the queue: the row one is at is the one whose subject has the focus ----------
  const rows = () => [...document.querySelectorAll(".queue tr[data-key]")].filter(visible);
  const rowOf = (target) => target.closest?.(".queue tr[data-key]") ?? null;
  const press = (row, selector) => {
    const button = row?.querySelector(selector);
    button?.click();
    return Boolean(button);
  };
  const inList = {
    j: (target) => move(target, 1),
    k: (target) => move(target, -1),
    x: (target) => press(rowOf(target), ".tick"),
    a: (target) => press(rowOf(target), "[data-act=take]"),
    u: (target) => press(rowOf(target), "[data-act=unread]"),
    r: (target) => open(rowOf(target), "reply"),
    n: (target) => open(rowOf(target), "note"),
  };

  function move(target, step) {
    const all = rows();
    const at = all.indexOf(rowOf(target));
    const next = all[at < 0 ? (step > 0 ? 0 : all.length - 1) : at + step];
    const link = next?.querySelector(".subject");
    link?.focus({ preventScroll: true });
    link?.scrollIntoView({ block: "nearest" });
    next?.scrollIntoView({ block: "nearest" });
    return Boolean(link);
  }

  function open(row, kind) {
    if (!row) return false;
    write = kind;
    return press(row, ".subject");
  }

  // ---------- on a ticket ----------
  const onTicket = {
    a: () => press(document.querySelector("main"), ".page-actions [data-act=take]"),
    r: () => compose("reply"),
    n: () => compose("note"),
  };

  function compose(kind) {
    const field = document.getElementById("composer-body");
    if (!field || field.disabled || !document.querySelector("[data-side=staff]")) return false;
    const choice = field.form.querySelector(`[name=kind][value=${kind}]`);
    if (kind === "note" && !choice) return false;
    if (choice && !choice.checked) choice.click();
    field.focus();
    field.scrollIntoView({ block: "nearest" });
    return true;
  }

  document.addEventListener("arrived", () => {
    if (write) compose(write);
    write = "";
  });

  // ---------- nothing moves where somebody is ----------
  const there = new WeakSet();
  const tell = (list, act) => list.querySelector(`[data-act=${act}]`)?.click();
  const touch = matchMedia("(hover: none)");

  function attend(list) {
    if (!list || there.has(list)) return;
    there.add(list);
    tell(list, "attend");
  }

  function leave(list) {
    if (!list || !there.has(list) || touch.matches) return; // a finger is never over it: it comes back to where a row was
    if (list.matches(":hover") || list.contains(document.activeElement)) return;
    there.delete(list);
    tell(list, "leave");
  }
  const around = (target) => (target instanceof Element ? target.closest("[data-attended]") : null);
  for (const type of ["pointerover", "focusin"]) document.addEventListener(type, (event) => attend(around(event.target)));
  for (const type of ["pointerout", "focusout"]) document.addEventListener(type, (event) => {
    const list = around(event.target);
    if (list && around(event.relatedTarget) !== list) setTimeout(() => leave(list));
  });

  // ---------- a menu that is searched: canned replies ----------
  document.addEventListener("keydown", (event) => {
    const { target, key } = event;
    if (!(target instanceof HTMLElement)) return;
    // at the beginning of an empty answer
    if (key === "/" && target.id === "composer-body" && !target.value && openMenu("canned")) return event.preventDefault();
    const menu = target.closest("[data-picker]");
    if (!menu) return;
    const lines = [...menu.querySelectorAll("button[data-words]")].filter(visible);
    const at = lines.indexOf(target);
    if (key === "ArrowDown" || key === "ArrowUp") {
      event.preventDefault();
      const next = lines[key === "ArrowDown" ? at + 1 : at - 1];
      (next ?? (at === 0 || at < 0 ? menu.querySelector("[data-chips-search]") : target)).focus();
    } else if (key === "Enter" && at < 0) {
      event.preventDefault(); // the menu stands in a form that must not be sent
      lines[0]?.click();
    }
  });
  document.addEventListener("toggle", (event) => {
    const menu = event.target;
    if (!(menu instanceof HTMLElement) || !menu.matches("[popover][data-picker]")) return;
    if (event.newState === "open") menu.querySelector("[data-chips-search]")?.focus();
  }, true);

  function openMenu(id) {
    const button = document.querySelector(`[popovertarget="${id}"]`); // the menu stands beside the button that opens it
    button?.click();
    return Boolean(button);
  }

})();
