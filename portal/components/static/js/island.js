// HTML from the server that stays alive. It is only ever innerHTML: nothing in it becomes code or a Vue template.
//
//   data-act="name"        a click (button, link, anything), or a form's submit, becomes the act `name`
//   data-key="…"           on it or around it: what the act is about
//   data-v-<name>="…"      a value that travels with a click
//   data-with-form         the click, or the change, takes the values of its form along
//   data-opened="name"     on a popover: that it was opened becomes the act `name`
//   data-on="name"         what is typed or chosen becomes the act `name`; on a form: with all its values
//   data-wait="300"        ms of silence before that (text 300, everything else 0)
//   data-grows           what `add` brings stands at its end, each piece once by its data-key
//   data-focus="…"     a field that gets the focus when it appears, or says something else than before
//   data-draft="key"       on a form: what is typed is kept in this tab until the server says it has arrived
//   data-kept              on a field: a value of the server's that belongs to the draft, and comes back with it
//   data-place="…"         beside it: and in one's account, with files that are sent meanwhile (writing.js)

const TEXT = "input:not([type]),input[type=text],input[type=search],input[type=email],input[type=tel],input[type=url],input[type=number],input[type=date],textarea";
const KEPT = "input:not([type=password]):not([type=hidden]):not([type=file]),textarea,select";
const lastSeen = new Map(); // island → html, for an island that Vue mounts again
const sent = new WeakMap(); // field → what the server last put into it
const revealed = new WeakMap(); // tabs → the one that was brought into sight
const store = {
  get: (key) => { try { return JSON.parse(sessionStorage.getItem("draft:" + key)); } catch { return null; } },
  set: (key, value) => { try { sessionStorage.setItem("draft:" + key, JSON.stringify(value)); } catch { /* full or forbidden: no drafts */ } },
  drop: (key) => { try { sessionStorage.removeItem("draft:" + key); } catch { /* the same */ } },
};
let acts = 0;

export default {
  emits: ["act"],
  props: { island: String, html: String, as: { type: String, default: "div" } },
  render() {
    return Vue.h(this.as, { "data-island": this.island });
  },
  mounted() {
    this.pending = new Map(); // number of an act → what to make usable again when the server has answered
    this.timers = new Map();
    const ssr = document.querySelector(`#ssr [data-island="${CSS.escape(this.island)}"]`);
    if (ssr) adopt(this.$el, ssr);
    else this.$el.innerHTML = this.html ?? lastSeen.get(this.island) ?? "";
    this.shown = this.html;
    for (const [type, listener] of [
      ["click", this.clicked],
      ["submit", this.submitted],
      ["input", this.typed],
      ["change", this.changed],
    ]) this.$el.addEventListener(type, listener);
    this.$el.addEventListener("toggle", this.opened, true); // it does not bubble
    for (const on of this.$el.querySelectorAll("[data-opened]:popover-open")) this.act(on.dataset.opened, on, {});
    restoreDrafts(this.$el);
    revealTabs(this.$el);
  },
  updated() {
    if (this.html === undefined || this.html === this.shown) return;
    this.shown = this.html;
    morph(this.$el, this.html);
    for (const busy of this.pending.values()) busy.mark();
    restoreDrafts(this.$el);
    revealTabs(this.$el);
    this.point();
  },
  beforeUnmount() {
    lastSeen.set(this.island, this.$el.innerHTML);
    for (const timer of this.timers.values()) clearTimeout(timer);
  },
  methods: {
    clicked(event) {
      const on = event.target.closest("[data-act]:not(form)");
      if (!on || event.target.closest(":disabled,[aria-disabled=true]")) return;
      // a link opened in a new tab is the browser's business
      if (on.href && (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey)) return;
      event.preventDefault();
      if (on.getAttribute("aria-busy") === "true") return;
      this.act(on.dataset.act, on, valuesOf(on), on.matches("button") ? on : null);
    },
    submitted(event) {
      const form = event.target.closest("form[data-act]");
      if (!form || event.defaultPrevented) return;
      event.preventDefault();
      if ("sending" in form.dataset) return;
      this.cancel(form);
      this.lastForm = form;
      this.act(form.dataset.act, form, formValues(form, event.submitter), event.submitter ?? submitButton(form), form);
    },
    opened(event) {
      if (event.newState === "open" && event.target.dataset.opened) this.act(event.target.dataset.opened, event.target, {});
    },
    typed(event) {
      if (event.target.matches(TEXT)) this.noticed(event.target, 300);
      keepDraft(event.target.form);
    },
    changed(event) {
      if (!event.target.matches(TEXT)) this.noticed(event.target, 0);
      keepDraft(event.target.form);
    },
    noticed(field, usual) {
      const on = field.dataset.on ? field : field.closest("form[data-on]");
      if (!on) return;
      clearTimeout(this.timers.get(on));
      const wait = Number(field.dataset.wait ?? on.dataset.wait ?? usual);
      this.timers.set(on, setTimeout(() => this.act(on.dataset.on, field, noticedValues(on, field)), wait));
    },
    point() {
      const field = this.$el.querySelector("[data-focus]");
      if (field && field.dataset.focus !== this.focused) field.focus();
      this.focused = field?.dataset.focus;
    },
    cancel(form) {
      for (const [on, timer] of this.timers) if (on === form || form.contains(on)) clearTimeout(timer);
    },
    act(name, from, values, button = null, form = null) {
      if (!this.$.vnode.props?.onAct) return; // nobody listens, so nobody would answer
      const number = ++acts;
      if (button || form) this.pending.set(number, busy(button, form));
      this.$emit("act", { act: name, key: from.closest("[data-key]")?.dataset.key ?? null, values, number });
    },
    // ---------- called by the server ----------
    add(piece, follows) {
      const place = this.$el.querySelector("[data-grows]");
      const box = Object.assign(document.createElement("template"), { innerHTML: piece });
      for (const node of [...box.content.children])
        if (!place?.querySelector(`:scope > [data-key="${CSS.escape(node.dataset.key)}"]`)) place?.append(node);
      for (const [name, value] of Object.entries(follows))
        for (const field of document.querySelectorAll(`.composer input[type=hidden][name="${CSS.escape(name)}"]`)) field.value = value;
      this.shown = null;
    },
    // At the cursor of the composer; what is typed there stays.
    insert(text) {
      const field = this.$el.querySelector(".composer textarea[name=body]");
      if (!field) return;
      field.focus();
      if (document.execCommand("insertText", false, text)) return; // can be undone
      field.setRangeText(text, field.selectionStart, field.selectionEnd, "end");
      field.dispatchEvent(new Event("input", { bubbles: true }));
    },
    done(number) {
      const answered = this.pending.get(number);
      answered?.release();
      this.pending.delete(number);
      if (answered?.form) this.$nextTick(() => pointToWrong(this.$el));
    },
    forget(key) {
      const form = key ? this.$el.querySelector(`form[data-draft="${CSS.escape(key)}"]`) : this.lastForm;
      const draft = key ?? form?.dataset.draft;
      if (draft) store.drop(draft);
      if (form?.isConnected) form.reset();
      if (form) window.portal?.writing?.sent(form);
    },
  },
};

// ---------- what is sent ----------

function valuesOf(element) {
  const values = element.hasAttribute("data-with-form") && element.form ? formValues(element.form) : {};
  for (const { name, value } of element.attributes) if (name.startsWith("data-v-")) values[name.slice(7)] = value;
  return values;
}

function formValues(form, submitter = null) {
  const values = {};
  for (const [name, value] of new FormData(form, submitter?.form === form ? submitter : null)) {
    if (typeof value !== "string") continue; // files have a road of their own
    if (name in values) values[name] = [values[name], value].flat();
    else values[name] = value;
  }
  return values;
}

function noticedValues(on, field) {
  if (on.matches("form") || field.hasAttribute("data-with-form")) return { ...valuesOf(on), ...formValues(field.form ?? on) };
  const ticked = !field.matches("[type=checkbox],[type=radio]") || field.checked;
  const value = field.matches("select[multiple]") ? [...field.selectedOptions].map((o) => o.value) : ticked ? field.value : "";
  return { ...valuesOf(field), [field.name || "value"]: value };
}

// ---------- waiting for the answer ----------

function busy(button, form) {
  const words = document.getElementById("connection")?.dataset.waiting;
  const mark = () => {
    button?.setAttribute("aria-busy", "true");
    if (form) form.dataset.sending = "";
  };
  let note;
  const tell = () => {
    if (!form || window.socket?.connected !== false || note || !words) return;
    note = Object.assign(document.createElement("p"), { className: "meta waiting", textContent: words, role: "status" });
    form.append(note);
  };
  // a click that is answered at once should not flicker; a form is blocked at once
  const timer = form ? mark() : setTimeout(mark, 120);
  const told = setTimeout(tell, 0);
  const watch = setInterval(tell, 1000);
  return {
    form,
    mark: () => { if (form || button?.getAttribute("aria-busy") === "true") mark(); },
    release() {
      clearTimeout(timer);
      clearTimeout(told);
      clearInterval(watch);
      note?.remove();
      button?.removeAttribute("aria-busy");
      if (form) delete form.dataset.sending;
    },
  };
}

function submitButton(form) {
  return [...form.elements].find((e) => e.type === "submit" && !e.disabled && e.offsetParent) ?? null;
}

// What is to be put right may stand far above the button that sent it, on a phone at least.
function pointToWrong(element) {
  const wrong = [...element.querySelectorAll("[aria-invalid=true]")].find((field) => field.offsetParent);
  const field = wrong?.matches("fieldset") ? wrong.querySelector("input:not(:disabled)") : wrong;
  if (!field) return;
  field.focus({ preventScroll: true });
  (field.closest(".field") ?? field).scrollIntoView({ block: "nearest" });
}

// The view one is in may stand beyond the edge.
function revealTabs(element) {
  for (const tabs of element.querySelectorAll(".tabs")) {
    const on = tabs.querySelector("[aria-current]");
    if (!on || on.href === revealed.get(tabs)) continue;
    revealed.set(tabs, on.href);
    const [room, at] = [tabs.getBoundingClientRect(), on.getBoundingClientRect()];
    if (at.left < room.left || at.right > room.right) tabs.scrollLeft += (at.left + at.right - room.left - room.right) / 2;
  }
}

// ---------- first paint and morphing ----------

function adopt(element, ssr) {
  const active = ssr.contains(document.activeElement) ? document.activeElement : null;
  const range = active && "selectionStart" in active ? [active.selectionStart, active.selectionEnd] : null;
  while (ssr.firstChild) move(element, ssr.firstChild);
  if (!active || document.activeElement === active) return;
  active.focus({ preventScroll: true });
  if (range && range[0] !== null) active.setSelectionRange(...range);
}

function move(element, node) {
  try { element.moveBefore(node, null); } // keeps focus, open popovers and playing animations
  catch { element.append(node); }
}

function morph(element, html) {
  if (!window.Idiomorph) return void (element.innerHTML = html);
  const kept = new WeakSet();
  Idiomorph.morph(element, html, {
    morphStyle: "innerHTML",
    // only of a field: Idiomorph would leave a focused button's words alone, too
    ignoreActiveValue: document.activeElement?.matches("input,textarea,select") ?? false,
    callbacks: {
      beforeNodeMorphed(before, after) {
        if (before.nodeType !== 1) return true;
        // portal.js and writing.js look after these
        if (before.matches("[data-show],[data-chips-search],[data-files],[data-draft-note],[data-draft-other]")) return false;
        if (before.matches("input,textarea,select") && keepTyped(before, after)) kept.add(before);
        return true;
      },
      beforeNodeRemoved(node) {
        if (node.nodeType === 1) for (const dialog of [node, ...node.querySelectorAll("dialog")]) if (dialog.open && dialog.close) dialog.close(); // gives the focus back
        return true;
      },
      beforeAttributeUpdated(name, node, change) {
        if (name === "open" && node.matches("details,dialog")) return false;
        if (name === "aria-expanded" && node.hasAttribute("popovertarget")) return false;
        if (name === "type" && node.matches(".with-action > input")) return false;
        if (change === "remove" && (name === "aria-busy" || name === "data-sending")) return false;
        return !(kept.has(node) && (name === "value" || name === "checked"));
      },
    },
  });
}

// A field one has changed stays as it is, unless the server has changed its mind about it, too.
function keepTyped(before, after) {
  const was = sent.get(before) ?? served(before);
  const now = served(after);
  sent.set(before, now);
  if (now !== was || current(before) === was) return false;
  if (before.matches("select")) for (const option of after.options) option.selected = [...before.selectedOptions].some((o) => o.value === option.value);
  else if (before.matches("[type=checkbox],[type=radio]")) after.checked = before.checked;
  else if (before.type !== "file") after.value = before.value;
  return true;
}

const served = (field) =>
  field.matches("select") ? servedOptions(field).map((o) => o.value).join("\n")
  : field.matches("[type=checkbox],[type=radio]") ? String(field.defaultChecked)
  : field.defaultValue;

function servedOptions(select) {
  const options = [...select.options];
  const chosen = options.filter((option) => option.defaultSelected);
  return chosen.length || select.multiple ? chosen : options.slice(0, 1);
}

const current = (field) =>
  field.matches("select") ? [...field.selectedOptions].map((o) => o.value).join("\n")
  : field.matches("[type=checkbox],[type=radio]") ? String(field.checked)
  : field.value;

// ---------- drafts ----------

const drafted = (form) => [...form.elements].filter((field) => field.name && field.matches(KEPT));

let filling = false; // what comes from a draft is no news to it

function keepDraft(form) {
  if (!form?.dataset.draft || filling) return;
  const draft = {};
  for (const field of drafted(form)) {
    if (field.name.endsWith("-view")) continue; // how one looks at it is not what one writes
    if (field.matches("[type=checkbox],[type=radio]")) draft[field.name] = [...(draft[field.name] ?? []), ...(field.checked ? [field.value] : [])];
    else draft[field.name] = field.matches("select[multiple]") ? [...field.selectedOptions].map((o) => o.value) : field.value;
  }
  store.set(form.dataset.draft, draft);
  window.portal?.writing?.changed(form, draft);
}

function restoreDrafts(element) {
  for (const form of element.querySelectorAll("form[data-draft]")) {
    if (form.dataset.restored === form.dataset.draft) continue;
    form.dataset.restored = form.dataset.draft;
    const draft = store.get(form.dataset.draft);
    if (draft) notingOthers(form, draft, restore);
    window.portal?.writing?.opened(form, draft, (content) => fill(form, content));
  }
}

// What another device wrote is shown instead of what stands here; `null` for nothing.
function fill(form, content) {
  if (content) store.set(form.dataset.draft, content);
  else {
    store.drop(form.dataset.draft);
    form.reset();
  }
  if (content) notingOthers(form, content, put);
}

// Sets the fields of a draft. Where others depend on one (the people of a company), the server has to know what it says now.
function notingOthers(form, content, set) {
  const others = [];
  let changed;
  for (const field of drafted(form)) {
    if (!(field.name in content)) continue;
    const before = current(field);
    set(field, content[field.name]);
    if (current(field) === before) continue;
    changed = field;
    if (field.dataset.on) others.push(field);
  }
  for (let folded = changed?.closest("details"); folded; folded = folded.parentElement.closest("details")) folded.open = true;
  filling = true;
  for (const field of others) field.dispatchEvent(new Event("change", { bubbles: true }));
  if (changed && form.dataset.on) changed.dispatchEvent(new Event(changed.matches(TEXT) ? "input" : "change", { bubbles: true }));
  filling = false;
}

function put(field, value) {
  const values = [].concat(value);
  if (field.matches("[type=checkbox],[type=radio]")) field.checked = values.includes(field.value);
  else if (field.matches("select")) { for (const option of field.options) option.selected = values.includes(option.value); }
  else field.value = values[0] ?? "";
}

// Only where the server sent nothing: what it knows is newer than what this tab kept.
function restore(field, value) {
  if (current(field) !== served(field)) return;
  if (field.matches("select,[type=checkbox],[type=radio]") || field.value === "" || "kept" in field.dataset) put(field, value);
}
