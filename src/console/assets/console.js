// Live updates, and the box that selects all. Everything works without this file.
(() => {
  const { body } = document, at = body.dataset.live;
  if (!at) return;
  const pause = document.getElementById("pause"), stopped = document.getElementById("stopped");
  const busy = ".live input[type=checkbox]:checked, .live :is(a, button, input, select, textarea):focus";
  let paused = false, missed = false, source;
  const refresh = () => {
    // What somebody is choosing stays as it is.
    missed = paused || document.querySelector(busy) !== null;
    if (!missed) body.dispatchEvent(new CustomEvent("changed"));
  };
  const catchUp = () => setTimeout(() => { if (missed) refresh(); });
  const stop = () => { stopped.hidden = false; source.close(); };
  const open = () => {
    source = new EventSource(at);
    source.addEventListener("changed", refresh);
    // A connection that breaks is opened again; one that was refused is not.
    source.addEventListener("error", () => { if (source.readyState === EventSource.CLOSED) stop(); });
  };
  const show = () => {
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Updates are paused" : "Pause updates";
  };
  pause.hidden = false;
  pause.addEventListener("click", () => { paused = !paused; show(); catchUp(); });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) source.close(); else if (stopped.hidden) { open(); refresh(); }
  });
  document.addEventListener("change", (event) => {
    const all = event.target;
    if (all.classList.contains("all")) {
      for (const box of all.closest("table").querySelectorAll("input[name=id]")) box.checked = all.checked;
    }
    catchUp();
  });
  document.addEventListener("focusout", catchUp);
  body.addEventListener("htmx:response:error", stop);
  // A table that somebody has scrolled stays where it is.
  const tables = () => [...document.querySelectorAll(".live .scroll")];
  let places = [];
  body.addEventListener("htmx:before:swap", () => {
    places = tables().map((table) => ({ left: table.scrollLeft, here: table === document.activeElement }));
  });
  const reveal = () => { for (const box of document.querySelectorAll("input.all")) box.hidden = false; };
  body.addEventListener("htmx:after:swap", () => {
    reveal();
    tables().forEach((table, n) => {
      if (places[n]?.left) table.scrollLeft = places[n].left;
      if (places[n]?.here) table.focus({ preventScroll: true });
    });
  });
  reveal();
  open();
})();
