// The list of runs looks every two seconds, while somebody looks at it, and replaces itself where something has changed.
"use strict";

const PAUSE = 2000; // milliseconds
const rows = document.getElementById("rows");
let shown = "";

async function look() {
  if (!document.hidden) {
    try {
      const answer = await fetch("rows");
      const text = await answer.text();
      if (answer.ok && text !== shown) {
        rows.innerHTML = shown = text; // made by the server from a template that escapes
      }
      rows.classList.toggle("stale", !answer.ok);
    } catch {
      rows.classList.add("stale"); // swath ui has ended
    }
  }
  setTimeout(look, PAUSE);
}

setTimeout(look, PAUSE / 4);
