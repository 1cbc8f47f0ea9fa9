// What stands around the figures of a run: the summary, the filter, downloads, the point that was picked.
"use strict";

const find = id => document.getElementById(id);
const address = new URLSearchParams(location.search);
const name = address.get("name") ?? "";
let point = address.get("point"); // that is shown
let query = ""; // what the server has told of filter and brush

Bokeh.set_log_level("warn");
Bokeh.safely(async () => {
  const [view] = await Bokeh.embed.embed_items({}, JSON.parse(find("items").textContent));
  const models = Bokeh.documents[0];
  const wire = models.get_model_by_name("wire");
  const where = models.get_model_by_name("where");
  // Bokeh forgets models that were replaced a good while later.
  const latest = name => [...models.all_models].findLast(model => model.name === name);
  const hear = () => tell(JSON.parse(wire.text));

  find("where").value = address.get("where") ?? "";
  find("filter").addEventListener("submit", event => {
    event.preventDefault();
    where.value = find("where").value;
  });
  find("clear").addEventListener("click", () => {
    const ranges = latest("ranges");
    const none = Array.from(ranges.data.key, () => NaN);
    ranges.data = { ...ranges.data, low: none, high: none };
  });
  find("where").addEventListener("change", () => { where.value = find("where").value; });
  models.on_event("connection_lost", () => {
    tell({ sorry: "swath ui has ended, or cannot be reached. What is shown is what was seen last." });
  });
  wire.properties.text.change.connect(hear);
  hear();
  latest("ranges")?.properties.data.change.emit(); // ranges that were there before us
});

find("close").addEventListener("click", () => {
  point = null;
  find("point").parentElement.hidden = true;
  remember(query);
});
document.addEventListener("swath:point", event => show(event.detail));
if (point !== null) show(point);

// Show what the server has told; what is HTML in it was made from templates that escape.
function tell(told) {
  if (told.head) find("head").innerHTML = told.head;
  else if (told.sorry && find("filter").hidden) find("head").textContent = "";
  for (const id of ["wrong", "sorry"]) {
    find(id).textContent = told[id] ?? "";
    find(id).hidden = !told[id];
  }
  if (told.head) find("filter").hidden = false;
  if (told.count) find("count").textContent = told.count;
  if (told.query === undefined) return;
  find("clear").hidden = !told.query.includes("between=");
  find("csv").href = `download?format=csv&${told.query}`;
  find("parquet").href = `download?format=parquet&${told.query}`;
  remember(told.query);
}

function remember(told) {
  query = told;
  if (!query) return;
  const chosen = point === null ? "" : `&point=${encodeURIComponent(point)}`;
  history.replaceState(null, "", `?${query}${chosen}`);
}

async function show(picked) {
  point = String(picked);
  remember(query);
  const panel = find("point");
  panel.parentElement.hidden = false;
  panel.classList.add("stale");
  try {
    const answer = await fetch(`point?${new URLSearchParams({ name, point })}`);
    panel.innerHTML = await answer.text();
  } catch {
    panel.textContent = "swath ui has ended.";
  }
  panel.classList.remove("stale");
}
