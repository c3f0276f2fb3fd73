// Passkeys. The button in [data-passkey] asks the server for options, the device for an answer, and then its form is sent.
//
//   data-passkey="create|get"   what the device is asked for
//   data-options="/address"     where the options come from
//   data-origin="https://…"     where passkeys of this portal work: elsewhere the browser would refuse
//   data-auto                   the device may also offer its passkeys in a field with autocomplete="… webauthn"
//   data-failed, data-elsewhere words for the person; they appear in [data-passkey-words] inside
(() => {
  if (!window.PublicKeyCredential?.parseRequestOptionsFromJSON || !PublicKeyCredential.prototype.toJSON) return;
  const root = document.documentElement;
  root.dataset.passkeys = "yes";
  PublicKeyCredential.isUserVerifyingPlatformAuthenticatorAvailable().then((has) => has && (root.dataset.passkeys = "platform")).catch(() => {});
  let waiting = null; // what ends the asking that waits in a field

  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest("[data-passkey] button") : null;
    if (button?.form) ask(button.form, button.closest("[data-passkey]").dataset, button);
  });

  async function ask(form, asked, button) {
    if (location.origin !== asked.origin) return say(form, asked.elsewhere);
    if (button.getAttribute("aria-busy") === "true") return;
    say(form, "");
    button.setAttribute("aria-busy", "true");
    waiting?.abort();
    try {
      const options = await fetched(form, asked);
      if (!options) return;
      const made = asked.passkey === "create"
        ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) })
        : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });
      send(form, made);
    } catch (error) {
      say(form, error.name === "InvalidStateError" ? asked.known : asked.failed);
    } finally {
      button.removeAttribute("aria-busy");
    }
  }

  async function fetched(form, asked) {
    const answer = await fetch(asked.options, { method: "POST", headers: { accept: "application/json" } });
    const said = await answer.json();
    if (answer.ok) return said;
    if (said.go) location.assign(said.go);
    else say(form, said.words ?? asked.failed);
    return null;
  }

  function send(form, credential) {
    form.elements.credential.value = JSON.stringify(credential);
    form.submit();
  }

  function say(form, words) {
    const place = form.querySelector("[data-passkey-words]");
    if (!place) return;
    place.textContent = words;
    place.hidden = !words;
  }

  // The device offers its passkeys in the field for the address, beside what the browser remembers.
  async function offer(form, asked) {
    if (location.origin !== asked.origin || !(await PublicKeyCredential.isConditionalMediationAvailable?.())) return;
    waiting = new AbortController();
    try {
      const options = await fetched(form, asked);
      if (!options) return;
      const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
      send(form, await navigator.credentials.get({ publicKey, mediation: "conditional", signal: waiting.signal }));
    } catch {
      // not chosen, or the button was pressed
    }
  }
  for (const asked of document.querySelectorAll("[data-passkey][data-auto]")) offer(asked.closest("form"), asked.dataset);
})();
