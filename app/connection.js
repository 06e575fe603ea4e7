// The server is gone: say so, keep what is on the screen, look for it, and open the same view again.
// The view is in the address, so a reload is a return. Bokeh's own reconnect would need the old
// session, which a server that was started again does not have.

const LOST = "Connection to the server lost. Your view is kept; trying again …";
const BACK = "The server is back: opening your view again …";
const WRITING = "The server is back. Reload opens your view again; what you are writing is not kept.";
const AGAIN = "The connection was lost twice in a short time. Reload opens your view again.";
const KEY = "xaieval-reloaded";
const LATELY = 10_000;  // ms: a second loss so soon after a reload is not followed by another one

function writing() {
  let at = document.activeElement;
  while (at?.shadowRoot?.activeElement) { at = at.shadowRoot.activeElement; }
  return at !== null && /^(TEXTAREA|INPUT)$/.test(at.tagName) && at.type !== "range" && at.value !== ""
    && !at.readOnly && at.type !== "checkbox" && at.type !== "radio" && at.type !== "button";
}

export function render({model, el: host, view}) {
  const banner = document.createElement("div");
  banner.className = "banner";
  banner.setAttribute("role", "alert");
  banner.hidden = true;
  const sign = document.createElement("span");
  sign.className = "sign";
  sign.setAttribute("aria-hidden", "true");
  const text = document.createElement("span");
  const reload = document.createElement("button");
  reload.type = "button";
  reload.textContent = "Reload";
  reload.addEventListener("click", () => location.reload());
  banner.append(sign, text, reload);
  host.append(banner);

  let looking = false;
  let timer = 0;
  async function answers() {
    try {  // a file of the server's own, so that no session is made only to ask
      const url = new URL("static/js/bokeh.min.js", location.href);
      return (await fetch(url, {method: "HEAD", cache: "no-store"})).ok;
    } catch {
      return false;
    }
  }
  async function look(wait) {
    if (!(await answers())) {
      timer = setTimeout(() => look(Math.min(1.5 * wait, 5000)), wait);
      return;
    }
    const before = Number(sessionStorage.getItem(KEY) ?? 0);
    if (Date.now() - before < LATELY) { text.textContent = AGAIN; return; }
    if (writing()) { text.textContent = WRITING; return; }
    text.textContent = BACK;
    sessionStorage.setItem(KEY, String(Date.now()));
    location.reload();
  }
  function lost() {
    banner.hidden = false;
    text.textContent = LOST;
    if (looking) { return; }
    looking = true;
    look(1000);
  }
  view.model.document.on_event("connection_lost", lost);
  model.on("remove", () => clearTimeout(timer));
}
