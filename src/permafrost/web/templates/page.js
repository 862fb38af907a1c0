"use strict";
// Copies commands, and shows progress as it goes on. The page is complete without it, and it changes nothing anywhere.
(() => {
  const STALE_S = 15 * 60, LOOK_MS = 5000;
  const spanText = (s) => s < 5400 ? `${Math.round(s / 60)} min` : s < 172800 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86400)} days`;

  function addButtons() {
    for (const block of document.querySelectorAll(".command")) {
      if (block.querySelector("button")) continue;
      const button = document.createElement("button");
      const command = block.querySelector("code").textContent;
      button.type = "button";
      button.textContent = "Copy";
      button.setAttribute("aria-label", `Copy: ${command}`);
      button.addEventListener("click", async () => {
        try { await navigator.clipboard.writeText(command); } catch {
          const selection = getSelection();
          selection.selectAllChildren(block.querySelector("code"));
          document.execCommand("copy");
        }
        button.textContent = "Copied";
        setTimeout(() => { button.textContent = "Copy"; }, 2000);
      });
      block.append(button);
    }
  }

  function showAge() {
    const written = document.querySelector("[data-written]");
    const age = (Date.now() - Date.parse(written.dateTime)) / 1000;
    const note = document.getElementById("stale");
    note.hidden = age < STALE_S;
    if (!note.hidden) note.textContent = `This page was written ${spanText(age)} ago. Is the permafrost service still running?`;
  }

  let last = "";
  async function look() {
    const answer = await fetch("./", { cache: "no-cache", redirect: "error" });
    const text = await answer.text();
    const main = document.querySelector("main");
    if (!answer.ok || text === last) return;
    last = text;
    if (main.contains(document.activeElement) || !getSelection().isCollapsed) { last = ""; return; }
    const fresh = new DOMParser().parseFromString(text, "text/html");
    const open = new Set([...main.querySelectorAll("details[open] > summary")].map((one) => one.textContent));
    for (const summary of fresh.querySelectorAll("details > summary")) summary.parentElement.open = open.has(summary.textContent);
    main.replaceWith(fresh.querySelector("main"));
    document.querySelector(".as-of").replaceWith(fresh.querySelector(".as-of"));
    document.title = fresh.title;
    addButtons();
  }

  addButtons();
  showAge();
  setInterval(showAge, 30000);
  if (location.protocol.startsWith("http")) setInterval(() => look().catch(() => {}).finally(showAge), LOOK_MS);
})();
