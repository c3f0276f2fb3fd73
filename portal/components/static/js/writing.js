// What one writes is kept in one's account, and files are sent while one still writes: for forms with data-place.
//
// The tab's own copy (island.js) is the first to know; from there it goes to the server after a short silence. Each save
// says which version it began with. If another device has saved since, the server sets that text aside and we offer it.
// Whatever cannot be sent waits, and is sent when the connection is back.
(() => {
  const SILENCE = 800; // ms after the last key
  const AGAIN = 4000; // ms until the next attempt
  const AT_ONCE = 3; // uploads
  const LONGEST = 20000; // ms that a reload waits for what is on its way
  const all = new WeakMap(); // form → Writing
  const forms = () => [...document.querySelectorAll("form[data-place]")].map((form) => all.get(form)).filter(Boolean);
  const root = () => location.pathname.match(/^\/(msp|client-portal\/[^/]+)/)?.[0] ?? "";
  const fresh = (form) => [...form.elements].some((e) => e.name && e.matches("textarea,input[type=text],input:not([type], [data-kept])") && e.value.trim());

  class Writing {
    constructor(form, fill) {
      Object.assign(this, { form, fill, place: form.dataset.place, root: root(), content: null, timer: null, saving: null, changes: 0, rounds: 0, held: null });
      this.state = `draft-state:${form.dataset.draft}`;
      let kept = {};
      try { kept = JSON.parse(sessionStorage.getItem(this.state)) ?? {}; } catch { /* forbidden, or not ours */ }
      this.version = kept.version ?? null; // null: this tab has not asked yet
      this.unsaved = kept.unsaved ?? false;
      this.uploads = new Set();
    }

    keep() {
      try { sessionStorage.setItem(this.state, JSON.stringify({ version: this.version, unsaved: this.unsaved })); } catch { /* full, or forbidden */ }
    }

    changed(content) {
      this.content = content;
      this.unsaved = true;
      this.changes += 1;
      this.keep();
      this.later(SILENCE);
    }

    later(wait) {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => (this.unsaved ? this.save() : this.read()), wait);
    }

    // ---------- with the server ----------

    async ask(body) {
      const address = `${this.root}/drafts` + (body ? "" : `?place=${encodeURIComponent(this.place)}`);
      const text = body && JSON.stringify({ place: this.place, ...body });
      const more = body ? { method: "POST", body: text, keepalive: text.length < 60000, headers: { "Content-Type": "application/json" } } : {};
      try {
        const answer = await fetch(address, { cache: "no-store", redirect: "manual", ...more });
        if (answer.ok || answer.status === 409) return await answer.json();
        if (answer.type === "opaqueredirect") location.reload(); // to where one signs in, and back here; the tab keeps what was typed
        return answer.status >= 500 ? null : { refused: true }; // signed out, or the place is not theirs any more
      } catch {
        return null;
      }
    }

    async read() {
      const round = this.rounds;
      const told = await this.ask();
      if (!told) return this.later(AGAIN);
      if (told.refused || round !== this.rounds) return;
      this.showFiles(told.files);
      if (this.unsaved) return void this.save();
      if (told.version !== this.version) {
        if (told.version) this.fill(told.content);
        else if (this.version) this.fill(null); // sent, or cleared, elsewhere
        this.version = told.version;
        this.content = told.content;
        this.keep();
      }
      if (told.version && fresh(this.form)) this.note("saved", told.saved);
      this.offer(told.earlier);
    }

    save(more = {}) {
      clearTimeout(this.timer);
      if (this.saving) return this.saving.then(() => (this.unsaved ? this.save(more) : null));
      this.saving = this.#save(more).finally(() => { this.saving = null; });
      return this.saving;
    }

    async #save(more) {
      const { changes, rounds } = this;
      const empty = !fresh(this.form) && this.form.isConnected && !this.uploads.size;
      if (empty && !this.version) return this.#saved(changes, { version: 0, earlier: [] });
      const told = await this.ask({ content: this.content ?? {}, began_with: this.version ?? 0, empty, ...more });
      if (rounds !== this.rounds) { // it was sent meanwhile: the draft must not come back
        if (told?.version) await this.ask({ content: {}, began_with: told.version, empty: true });
        return;
      }
      if (told?.refused) return; // it stays in this tab
      if (!told) {
        this.note("waiting");
        return this.later(AGAIN);
      }
      if (!told.version && this.version && !empty) { // sent or cleared elsewhere, and one has gone on writing here
        this.version = 0;
        return this.later(0);
      }
      this.#saved(changes, told, empty);
    }

    #saved(changes, told, empty) {
      this.version = told.version;
      if (changes === this.changes) this.unsaved = false;
      else this.later(SILENCE);
      this.keep();
      this.note(told.version && !empty ? "saved" : "", told.saved);
      this.offer(empty && told.version ? [told, ...told.earlier] : told.earlier);
    }

    sent() {
      this.rounds += 1;
      clearTimeout(this.timer);
      Object.assign(this, { version: 0, unsaved: false, content: null, held: null });
      for (const upload of this.uploads) upload.item.remove();
      this.uploads.clear();
      this.keep();
      this.note("");
      this.offer([]);
    }

    // ---------- what one sees of it ----------

    note(kind, at) {
      const note = this.form.querySelector("[data-draft-note]");
      if (!note) return;
      note.hidden = !kind;
      note.textContent = kind ? note.dataset[kind].replace("{time}", at ?? "") : "";
    }

    offer(earlier) {
      this.earlier = earlier ?? [];
      const box = this.form.querySelector("[data-draft-other]");
      if (!box) return;
      box.hidden = !this.earlier.length;
      if (!this.earlier.length) return;
      const words = box.querySelector("[data-words]");
      words.textContent = words.dataset.words.replace("{time}", this.earlier[0].saved ?? "");
    }

    async take() {
      const [other] = this.earlier;
      this.fill(other.content);
      this.changed(other.content);
      await this.save({ aside: true });
      this.form.querySelector("textarea")?.focus();
    }

    drop() {
      this.offer([]);
      this.unsaved = true;
      this.save({ drop_earlier: true });
    }

    // ---------- files ----------

    get list() { return this.form.querySelector("[data-files]"); }
    get coming() { return [...this.uploads].filter((upload) => upload.state === "coming"); }

    showFiles(files = []) {
      if (!this.list) return;
      const there = new Map([...this.uploads].filter((u) => u.id).map((u) => [u.id, u]));
      for (const file of files) if (!there.delete(file.id)) new Upload(this, null).arrived(file);
      for (const gone of there.values()) gone.leave(); // sent or removed elsewhere
    }

    add(files) {
      for (const file of files) new Upload(this, file);
      next();
    }

    over() { // one upload is: the others may begin, and a form that waited is sent
      next();
      if (!this.held || this.coming.length) return;
      const { button } = this.held;
      this.hold(null);
      if ([...this.uploads].every((upload) => upload.state === "there")) this.form.requestSubmit(button?.isConnected ? button : null);
    }

    hold(held) {
      this.held = held;
      const button = held?.button;
      for (const each of this.form.querySelectorAll("button[type=submit]")) {
        if (each === button) each.setAttribute("aria-busy", "true");
        else if (!held) each.removeAttribute("aria-busy");
      }
      this.say(held ? this.list.dataset.holding : "", true);
    }

    say(words, seen = false) {
      const status = this.list?.querySelector("[role=status]");
      if (!status) return;
      status.classList.toggle("unseen", !seen);
      status.textContent = words;
    }

    async settled() {
      await Promise.all([this.unsaved ? this.save() : null, ...this.coming.map((upload) => upload.finished)]);
    }
  }

  // ---------- one file ----------

  class Upload {
    constructor(writing, file) {
      const list = writing.list;
      this.writing = writing;
      this.file = file;
      this.state = file ? "coming" : "there";
      this.item = list.querySelector("template").content.firstElementChild.cloneNode(true);
      this.finished = new Promise((resolve) => { this.finish = resolve; });
      writing.uploads.add(this);
      list.querySelector("ul").append(this.item);
      this.part("remove").addEventListener("click", () => this.remove());
      this.part("again").addEventListener("click", () => this.retry());
      if (!file) return;
      // what is pasted is always called the same
      this.name = file.name === "image.png" ? `screenshot-${new Date().toTimeString().slice(0, 8).replaceAll(":", "")}.png` : file.name;
      this.label();
      this.show("coming");
      if (file.size > Number(list.dataset.limit)) this.fail(list.dataset.large);
    }

    part(name) { return this.item.querySelector(`[data-${name}]`); }

    label() {
      this.part("name").textContent = this.name;
      for (const name of ["remove", "again"]) this.part(name).setAttribute("aria-label", this.part(name).dataset.words.replace("{name}", this.name));
      this.part("progress").setAttribute("aria-label", this.name);
    }

    show(state, words = "") {
      this.state = state;
      this.item.dataset.state = state;
      this.part("size").textContent = words;
      this.part("progress").hidden = state !== "coming";
      this.part("again").hidden = state !== "failed" || this.file.size > Number(this.writing.list.dataset.limit);
    }

    async start() {
      this.begun = true;
      try {
        await this.file.slice(0, 1).arrayBuffer();
      } catch { // a folder, or it was moved away meanwhile
        return this.fail(this.writing.list?.dataset.unreadable ?? "");
      }
      const request = (this.request = new XMLHttpRequest());
      request.open("POST", `${this.writing.root}/files?place=${encodeURIComponent(this.writing.place)}&name=${encodeURIComponent(this.name)}`);
      request.setRequestHeader("Content-Type", "application/octet-stream");
      request.upload.onprogress = (event) => {
        this.part("progress").value = event.loaded / (event.total || 1);
        this.part("size").textContent = `${Math.floor((100 * event.loaded) / (event.total || 1))} %`;
      };
      request.onload = () => {
        let told = null;
        try { told = JSON.parse(request.responseText); } catch { /* the sign-in page, or a proxy's words */ }
        if (request.status === 201 && told) this.arrived(told);
        else this.fail(told?.error ?? this.writing.list?.dataset.failed ?? "");
      };
      request.onerror = () => { // the line, not the file: again when it is back
        this.begun = false;
        this.part("size").textContent = this.writing.list?.dataset.waiting ?? "";
        setTimeout(next, AGAIN);
      };
      request.send(this.file);
    }

    arrived(told) {
      Object.assign(this, { id: told.id, name: told.name, file: null });
      this.label();
      this.show("there", told.size);
      this.item.append(Object.assign(document.createElement("input"), { type: "hidden", name: "file", value: told.id }));
      const picture = this.part("picture");
      if (told.preview) {
        picture.src = told.preview;
        picture.hidden = false;
        this.item.querySelector(".icon").remove();
      }
      if (this.begun) {
        this.writing.say(this.writing.list?.dataset.arrived.replace("{name}", this.name) ?? "");
        this.writing.version ??= 0;
        this.end();
      }
    }

    fail(words) {
      this.show("failed", words);
      this.writing.say(`${this.name}: ${words}`);
      this.end();
    }

    end() {
      this.begun = false;
      this.finish();
      this.writing.over();
    }

    retry() {
      this.show("coming");
      this.finished = new Promise((resolve) => { this.finish = resolve; });
      next();
    }

    leave() {
      this.writing.uploads.delete(this);
      this.item.remove();
    }

    async remove() {
      const list = this.writing.list;
      this.request?.abort();
      this.leave();
      list?.closest("form")?.querySelector("[data-attach]")?.focus();
      if (this.id) await fetch(`${this.writing.root}/files/${this.id}/remove`, { method: "POST", redirect: "manual" }).catch(() => {});
      if (!fresh(this.writing.form)) this.writing.read(); // with its last file the draft is no more
      this.end();
    }
  }

  function next() {
    const coming = forms().flatMap((writing) => writing.coming);
    const begun = coming.filter((upload) => upload.begun).length;
    for (const upload of coming.filter((each) => !each.begun).slice(0, Math.max(0, AT_ONCE - begun))) upload.start();
  }

  // ---------- what happens in the page ----------

  document.addEventListener("change", (event) => {
    const field = event.target;
    if (!(field instanceof HTMLInputElement) || !field.matches("[data-attach]") || !field.files.length) return;
    const writing = field.form && all.get(field.form);
    if (!writing) return;
    writing.add([...field.files]);
    field.value = "";
  });

  document.addEventListener("submit", (event) => {
    const writing = all.get(event.target);
    if (!writing) return;
    const failed = [...writing.uploads].find((upload) => upload.state === "failed");
    if (failed || writing.coming.length) {
      event.preventDefault();
      event.stopImmediatePropagation();
      if (failed) failed.part("remove").focus();
      else writing.hold({ button: event.submitter });
    } else if (writing.unsaved) writing.later(5 * SILENCE); // not while it is being sent; but it may be refused
  }, true);

  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element && event.target.closest("[data-draft-take],[data-draft-drop]");
    const writing = button && all.get(button.form);
    if (writing) button.matches("[data-draft-take]") ? writing.take() : writing.drop();
  });

  const look = () => {
    for (const writing of forms()) writing.unsaved ? writing.save() : writing.read();
    next();
  };
  addEventListener("focus", look);
  addEventListener("online", look);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { for (const writing of forms()) if (writing.unsaved) writing.save(); } else look();
  });

  window.portal = {
    ...window.portal,
    writing: {
      opened(form, content, fill) {
        if (!form.dataset.place || all.has(form)) return;
        const writing = new Writing(form, fill);
        writing.content = content;
        all.set(form, writing);
        writing.read();
      },
      changed(form, content) { all.get(form)?.changed(content); },
      sent(form) { all.get(form)?.sent(); },
      look,
      settled: () => Promise.race([Promise.allSettled(forms().map((w) => w.settled())), new Promise((done) => setTimeout(done, LONGEST))]),
    },
  };
})();
