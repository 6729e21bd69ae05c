"use strict";
const form = document.querySelector("#ask"), said = document.querySelector("#said");
const body = document.querySelector("#scores tbody"), save = document.querySelector("#save");
const filters = document.querySelector("#filters"), left = document.querySelector("#left"), drop = document.querySelector("#drop");
const DEAL = ["brand", "product_niche", "product_country", "objective", "starts_at", "promotion_hours", "deliverables", "spend"];
const NUMBERS = new Set(["promotion_hours", "deliverables", "spend"]);
const KINDS = ["tier", "niche", "platform"];
let shown = [], target = "";

function tell(text, wrong = false) { said.textContent = text; said.classList.toggle("wrong", wrong); }

async function ask(path, what) {
  const headers = { "Content-Type": "application/json" };
  if (form.key.value) headers["X-API-Key"] = form.key.value;
  const reply = await fetch(path, what ? { method: "POST", headers, body: JSON.stringify(what) } : { headers });
  const told = await reply.json();
  if (reply.ok) return told;
  const faults = (told.errors || []).slice(0, 5).map(e => `${e.row === undefined ? "" : `row ${e.row + 1}, `}${e.field || ""}: ${e.detail}`);
  throw new Error([told.detail, ...faults].join("\n"));
}

function cell(name, value) {
  if (value === "") return null;
  return NUMBERS.has(name) ? Number(value) : value;
}

function deal() {
  const told = {};
  for (const name of DEAL) {
    const value = cell(name, form[name].value.trim());
    if (value !== null) told[name] = value;
  }
  if (told.starts_at) told.starts_at = new Date(told.starts_at).toISOString();
  return told;
}

const words = text => text.split(/[\s,;]+/).filter(Boolean);

function csv(text) {
  const rows = [[""]];
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i], row = rows[rows.length - 1];
    if (quoted) {
      if (c !== '"') row[row.length - 1] += c;
      else if (text[i + 1] === '"') { row[row.length - 1] += c; i++; }
      else quoted = false;
    } else if (c === '"') quoted = true;
    else if (c === ",") row.push("");
    else if (c === "\n") rows.push([""]);
    else if (c !== "\r") row[row.length - 1] += c;
  }
  const [names, ...found] = rows.filter(row => row.length > 1 || row[0] !== "");
  const wanted = new Set([...DEAL, "candidate_id", "creator_id"]);
  return found.map(row => Object.fromEntries(
    names.map((name, i) => [name, cell(name, row[i] ?? "")]).filter(([name, value]) => wanted.has(name) && value !== null)));
}

async function rank() {
  const file = form.file.files[0], cost = form.target_cost.value;
  const wanted = `include=interval,reasons,creator${cost && `&target_cost=${encodeURIComponent(cost)}`}`;
  if (!file) {
    const filters = {};
    for (const name of ["tier", "platform", "niche"]) if (form[name].value.trim()) filters[name] = form[name].value.split(",").map(w => w.trim());
    const what = { deal: deal(), filters, limit: Number(form.limit.value) || 50 };
    if (words(form.creator_ids.value).length) what.creator_ids = words(form.creator_ids.value);
    const told = await ask(`v1/rank?${wanted}`, what);
    const scores = told.scores.map(score => ({ ...score, spend: what.deal.spend }));
    return [scores, cost, `${told.scores.length} of ${told.considered} creators, by ${told.model_version}`];
  }
  const items = csv(await file.text());
  const told = await ask(`v1/score?${wanted}`, { items });
  const scores = told.scores.map((score, i) => ({ ...score, creator_id: items[i].creator_id, spend: items[i].spend }))
    .sort((a, b) => a.rank - b.rank);
  return [scores, cost, `${scores.length} candidates, by ${told.model_version}`];
}

function element(name, text, kind) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function bar(score, most) {
  const space = "http://www.w3.org/2000/svg", svg = document.createElementNS(space, "svg");
  const low = score.conversions_per_dollar_low, high = score.conversions_per_dollar_high;
  svg.setAttribute("viewBox", "0 0 100 10");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `${low.toPrecision(3)} to ${high.toPrecision(3)}`);
  const parts = [["span", low, Math.max(high - low, most / 200)], ["point", score.conversions_per_dollar - most / 200, most / 100]];
  for (const [kind, x, width] of parts) {
    const rect = document.createElementNS(space, "rect");
    rect.setAttribute("class", kind);
    rect.setAttribute("x", Math.max(0, 100 * x / most));
    rect.setAttribute("width", 100 * width / most);
    rect.setAttribute("height", 10);
    svg.append(rect);
  }
  return svg;
}

// a filter bears the name of what it looks at: a list wants the same, a number at most so much
const kept = () => shown.filter(score => [...filters.elements].every(field => field.value === ""
  || (field.type === "number" ? score[field.name] <= Number(field.value) : score[field.name] === field.value)));

function offer() {
  for (const name of KINDS) {
    const list = filters.elements[name], before = list.value;
    list.replaceChildren(new Option("all", ""), ...[...new Set(shown.map(score => score[name]))].sort().map(kind => new Option(kind)));
    list.value = shown.some(score => score[name] === before) ? before : "";
  }
  filters.disabled = !shown.length;
}

function show() {
  const rows = kept();
  const most = Math.max(...rows.map(s => s.conversions_per_dollar_high), 1e-9);
  for (const head of document.querySelectorAll("th.target")) head.hidden = !target;
  document.querySelector("#within").textContent = `P(≤ ${target} $)`;
  body.replaceChildren(...rows.map(score => {
    const row = element("tr"), interval = element("td"), why = element("td"), details = element("details"), list = element("ul");
    interval.append(bar(score, most));
    for (const one of score.reasons) list.append(element("li", `${one.feature} ${one.value ?? "unknown"}: ×${one.factor}`));
    details.append(element("summary", `${score.reasons.length} reasons`), list);
    why.append(details);
    why.className = "text";
    row.append(element("td", score.rank), element("td", score.creator_id, "text"), element("td", KINDS.map(name => score[name]).join(", "), "text"),
      element("td", score.spend), element("td", score.conversions_per_dollar.toPrecision(3)), interval,
      element("td", score.conversions.toFixed(1)), element("td", score.cost_per_conversion.toFixed(2)));
    if (target) row.append(element("td", score.probability_within_target.toFixed(2)), element("td", score.walk_away_price.toFixed(2)));
    row.append(element("td", score.warnings.join(", ").replaceAll("_", " "), "text"), why);
    return row;
  }));
  left.textContent = shown.length ? `${rows.length} of ${shown.length} shown` : "";
  save.disabled = !rows.length;
}

form.addEventListener("submit", async event => {
  event.preventDefault();
  tell("…");
  try {
    const [scores, cost, text] = await rank();
    for (const score of scores) for (const name of KINDS) score[name] ??= "unknown";
    [shown, target] = [scores, cost];
    offer();
    show();
    tell(text);
    model();
  } catch (error) { tell(error.message, true); }
});

form.file.addEventListener("change", () => {
  for (const name of DEAL) form[name].required = !form.file.files.length && !["product_country", "objective", "deliverables"].includes(name);
});
filters.addEventListener("input", show);
for (const kind of ["dragover", "dragleave", "drop"]) drop.addEventListener(kind, event => {
  event.preventDefault();
  drop.classList.toggle("over", kind === "dragover");
  if (kind === "drop" && event.dataTransfer.files.length) {
    form.file.files = event.dataTransfer.files;
    form.file.dispatchEvent(new Event("change"));
  }
});

save.addEventListener("click", () => {
  const names = ["rank", "candidate_id", "creator_id", "conversions_per_dollar", "conversions_per_dollar_low", "conversions_per_dollar_high",
    "conversions", "cost_per_conversion", ...target ? ["probability_within_target", "walk_away_price"] : [], "reasons", "warnings", "model_version"];
  const quote = v => `"${String(typeof v === "object" && v ? JSON.stringify(v) : v ?? "").replaceAll('"', '""')}"`;
  const lines = [names, ...kept().map(score => names.map(name => score[name]))].map(row => row.map(quote).join(","));
  const link = element("a");
  link.href = URL.createObjectURL(new Blob([lines.join("\n") + "\n"], { type: "text/csv" }));
  link.download = "scores.csv";
  link.click();
  URL.revokeObjectURL(link.href);
});

async function model() {
  try {
    const told = await ask("v1/model"), f = told.figures;
    const figures = [["rank", "ours.rank"], ["value", "ours.value"], ["skill", "ours.skill"], ["coverage of the interval", "ours.coverage"]]
      .filter(([, key]) => key in f).map(([name, key]) => `${name} ${f[key].toFixed(2)}`).join(", ");
    document.querySelector("#model").textContent = `${told.model_version}. ${told.skill ?? ""} Backtest: ${figures}.`;
  } catch (error) { document.querySelector("#model").textContent = "Give your key to see the model's figures."; }
}
const soon = new Date(Date.now() + 14 * 864e5);
form.starts_at.value = new Date(soon - soon.getTimezoneOffset() * 6e4).toISOString().slice(0, 16);
model();
