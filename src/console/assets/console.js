// Live updates, and the box that selects all. Everything works without this file.
(() => {
  const at = document.body.dataset.live;
  if (!at) return;
  const pause = document.getElementById("pause");
  let paused = false, missed = false, source;
  const refresh = () => {
    // What somebody is choosing stays as it is.
    if (paused || document.querySelector(".live input[type=checkbox]:checked, .live :focus")) { missed = true; return; }
    missed = false;
    document.body.dispatchEvent(new CustomEvent("changed"));
  };
  const open = () => {
    source = new EventSource(at);
    source.addEventListener("changed", refresh);
  };
  const show = () => {
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Updates are paused" : "Pause updates";
  };
  pause.hidden = false;
  pause.addEventListener("click", () => { paused = !paused; show(); if (!paused && missed) refresh(); });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) source.close(); else { open(); refresh(); }
  });
  document.addEventListener("change", (event) => {
    const all = event.target;
    if (!all.classList.contains("all")) return;
    for (const box of all.closest("table").querySelectorAll("input[name=id]")) box.checked = all.checked;
  });
  const reveal = () => { for (const box of document.querySelectorAll("input.all")) box.hidden = false; };
  document.body.addEventListener("htmx:after:swap", reveal);
  reveal();
  open();
})();
