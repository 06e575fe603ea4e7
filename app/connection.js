// The server is gone: say so, keep what is on the screen, look for it, and open the same view again.
// The view is in the address, so a reload is a return. Bokeh's own reconnect would need the old
// session, which a server that was started again does not have.

const LOST = "Connection to the server lost. Your view is kept; trying again …";
const BACK = "The server is back: opening your view again …";
const WRITING = "The server is back. Reload opens your view again; what you are writing is not kept.";
const AGAIN = "The connection was lost twice in a short time. Reload opens your view again.";
const PARTED = "This page missed a change: opening your view again …";
const STALE = "This page missed a change. Reload opens your view again; what you are writing is not kept.";
const OFTEN = "This page missed changes twice in a short time. Reload opens your view again.";
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
    open({often: AGAIN, kept: WRITING, going: BACK});
  }
  function open({often, kept, going}) {
    const before = Number(sessionStorage.getItem(KEY) ?? 0);
    if (Date.now() - before < LATELY) { text.textContent = often; return; }
    if (writing()) { text.textContent = kept; return; }
    text.textContent = going;
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
  // A change that cannot be made here ends the same way: nothing that follows could be trusted.
  function watch(doc) {
    const apply = doc.apply_json_patch;
    doc.apply_json_patch = function (...patch) {
      try {
        return apply.apply(this, patch);
      } catch (error) {
        if (banner.hidden) {
          banner.hidden = false;
          open({often: OFTEN, kept: STALE, going: PARTED});
        }
        throw error;
      }
    };
  }
  watch(view.model.document);
  view.model.document.on_event("connection_lost", lost);
  model.on("remove", () => clearTimeout(timer));
}
