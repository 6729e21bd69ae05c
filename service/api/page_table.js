// The table of scores: what the filters leave, sorted, a page at a time, so that the document stays small.

import { digits, factor, figure, money, moment, percent, price, reason, warning, whole } from "./page_words.js";

export const KINDS = ["tier", "niche", "platform"]; // what is known of a creator, as a row shows it
const ROWS = 100;
const FALLING = new Set(["conversions", "conversions_per_dollar", "probability_within_target", "walk_away_price"]);
const TEXTS = ["creator_id", "candidate_id", "brand"];
const results = document.querySelector("#results"), filters = document.querySelector("#filters");
const body = document.querySelector("#scores tbody"), save = document.querySelector("#save");
const heads = [...document.querySelectorAll("#scores thead th")], pager = document.querySelector("#pager");
let scored = [], target = "", kept = [], from = 0, sort = { key: "rank", sign: 1 };

/** Show rows; cost: the target cost per conversion, "" for none. */
export function show(rows, cost) {
  [scored, target, sort] = [rows, cost, { key: "rank", sign: 1 }];
  results.hidden = false;
  for (const name of KINDS) {
    const list = filters.elements[name], before = list.value, kinds = new Set(scored.map(score => kind(score, name)));
    list.replaceChildren(new Option("all", ""), ...[...kinds].sort().map(one => new Option(one)));
    list.value = kinds.has(before) ? before : "";
  }
  for (const head of document.querySelectorAll("#scores th.target")) head.hidden = !target;
  document.querySelector("#within").textContent = `Chance of ≤ $${target}`;
  filters.disabled = !scored.length;
  choose();
}

/** Nothing is left to be seen or downloaded. */
export function clear() {
  show([], "");
  results.hidden = true;
}

/** While another answer is awaited, the old one can be seen but not downloaded. */
export function wait(waiting) {
  results.setAttribute("aria-busy", waiting);
  save.disabled = waiting || !kept.length;
}

/** All rows that the filters leave, on whatever page, in the table's order. */
export const left = () => kept;
export const targeted = () => target !== "";

const kind = (score, name) => score[name] ?? "unknown";

function passes(score, field) {
  if (field.name === "find") return TEXTS.some(name => score[name]?.toLowerCase().includes(field.value.trim().toLowerCase()));
  return field.type === "number" ? score[field.name] <= Number(field.value) : kind(score, field.name) === field.value;
}

function choose() {
  const set = [...filters.elements].filter(field => field.name && field.value.trim() !== "");
  kept = scored.filter(score => set.every(field => passes(score, field)));
  const { key, sign } = sort;
  const order = key === "creator_id" ? new Intl.Collator("en", { numeric: true }).compare : (a, b) => a - b;
  kept.sort((a, b) => sign * order(a[key], b[key]) || a.rank - b.rank);
  from = 0;
  for (const head of heads) {
    if (head.dataset.key === key) head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    else head.removeAttribute("aria-sort");
  }
  document.querySelector("#left").textContent = scored.length ? `${whole(kept.length)} of ${whole(scored.length)} shown` : "No rows";
  document.querySelector("#none").hidden = kept.length > 0;
  save.disabled = !kept.length;
  draw();
}

function draw() {
  const highs = kept.map(score => score.conversions_per_dollar_high).sort((a, b) => a - b);
  const most = highs.at(-1) ?? 1, usual = highs[Math.floor(0.95 * (highs.length - 1))] ?? 1;
  const end = Math.max(most > 1.5 * usual ? usual : most, 1e-9); // a few wide intervals must not squeeze all others
  document.querySelector("#axis").textContent = kept.length ? `0 to ${digits(end)}` : "";
  body.replaceChildren(...kept.slice(from, from + ROWS).map(score => line(score, end)));
  pager.hidden = kept.length <= ROWS;
  pager.querySelector("span").textContent = `${whole(from + 1)} to ${whole(Math.min(from + ROWS, kept.length))} of ${whole(kept.length)}`;
  pager.querySelector("[name=previous]").disabled = from === 0;
  pager.querySelector("[name=next]").disabled = from + ROWS >= kept.length;
}

export function element(name, text, style) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (style) made.className = style;
  return made;
}

function line(score, end) {
  const row = element("tr"), interval = element("td", undefined, "wide"), last = element("td"), why = element("button", "Why");
  interval.append(bar(score, end));
  why.type = "button";
  why.setAttribute("aria-expanded", "false");
  why.setAttribute("aria-label", `Why this score, ${score.creator_id}`);
  why.addEventListener("click", () => toggle(row, why, score));
  last.append(why);
  row.append(element("td", whole(score.rank)), who(score), element("td", price(score.spend), "wide"),
    element("td", figure(score.conversions), "wide"), element("td", money(score.cost_per_conversion), "main"),
    element("td", figure(score.conversions_per_dollar), "wide"), interval);
  if (target) row.append(element("td", percent(score.probability_within_target), "wide"), element("td", price(score.walk_away_price), "wide"));
  row.append(last);
  return row;
}

function who(score) {
  const cell = element("td", undefined, "who");
  cell.append(element("b", score.creator_id), element("small", KINDS.map(name => kind(score, name)).join(" · ")));
  if (score.listed) cell.append(element("small", [score.candidate_id, score.brand, moment(score.starts_at)].filter(Boolean).join(" · ")));
  if (score.warnings.length) cell.append(element("small", `⚠ ${score.warnings.map(warning).join("; ")}`, "warning"));
  return cell;
}

function toggle(row, button, score) {
  const open = button.getAttribute("aria-expanded") === "true";
  button.setAttribute("aria-expanded", !open);
  if (open) row.nextElementSibling.remove();
  else row.after(explained(score, row.cells.length));
}

// a row below a score's own: why it is what it is, and on narrow screens the columns that have no room there
function explained(score, columns) {
  const row = element("tr", undefined, "why"), cell = element("td"), list = element("ul"), more = element("dl", undefined, "narrow");
  cell.colSpan = columns;
  for (const one of score.reasons) {
    const item = element("li");
    item.append(element("span", reason(one)), lean(one.factor), element("b", factor(one.factor)));
    list.append(item);
  }
  const low = digits(score.conversions_per_dollar_low), high = digits(score.conversions_per_dollar_high);
  const figures = [["Price", price(score.spend)], ["Conversions", digits(score.conversions)],
    ["Conversions per $", `${digits(score.conversions_per_dollar)}, 80 % range ${low} to ${high}`]];
  if (target) figures.push([`Chance of ≤ $${target}`, percent(score.probability_within_target)], ["Pay at most", price(score.walk_away_price)]);
  for (const [name, value] of figures) more.append(element("dt", name), element("dd", value));
  const title = score.reasons.length ? "Why this score" : "Nothing moves this score from the usual one";
  cell.append(more, element("b", title), element("small", score.reasons.length ? " The factors multiply." : ""), list);
  row.append(cell);
  return row;
}

function drawing(style, width, height, label) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", style);
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  if (label) svg.setAttribute("role", "img");
  svg.setAttribute(label ? "aria-label" : "aria-hidden", label || "true");
  return svg;
}

function shape(svg, name, style, places) {
  const made = document.createElementNS(svg.namespaceURI, name);
  made.setAttribute("class", style);
  for (const [key, value] of Object.entries(places)) made.setAttribute(key, value);
  svg.append(made);
  return made;
}

function bar(score, end) {
  const { conversions_per_dollar: rate, conversions_per_dollar_low: low, conversions_per_dollar_high: high } = score;
  const svg = drawing("interval", 170, 24, `80 % range ${digits(low)} to ${digits(high)}`);
  const x = value => (5 + 160 * Math.min(value, end) / end).toFixed(1);
  if (target && 1 / target < end) shape(svg, "line", "goal", { x1: x(1 / target), x2: x(1 / target), y1: 1, y2: 23 });
  shape(svg, "line", "span", { x1: x(low), x2: x(high), y1: 14, y2: 14 });
  shape(svg, "circle", "point", { cx: x(rate), cy: 14, r: 4.5 });
  if (high > end) shape(svg, "text", "beyond", { x: 168, y: 8, "text-anchor": "end" }).textContent = `→ ${digits(high)}`;
  return svg;
}

// a factor as a bar to the right of the middle where it raises the score, to the left where it lowers it
function lean(value) {
  const svg = drawing("lean", 120, 8), width = Math.min(60, 30 * Math.abs(Math.log2(value)));
  shape(svg, "rect", "rail", { width: 120, height: 8, rx: 4 });
  shape(svg, "rect", value < 1 ? "down" : "up", { x: value < 1 ? 60 - width : 60, width, height: 8, rx: 2 });
  return svg;
}

filters.addEventListener("input", choose);
for (const head of heads) head.querySelector("button")?.addEventListener("click", () => {
  const { key } = head.dataset, first = FALLING.has(key) ? -1 : 1;
  sort = { key, sign: sort.key === key ? -sort.sign : first };
  choose();
});
pager.addEventListener("click", event => {
  const step = { previous: -ROWS, next: ROWS }[event.target.name];
  if (!step) return;
  from += step;
  draw();
  const other = pager.querySelector("button:enabled");
  if (event.target.disabled) other.focus(); // else the keyboard's place is lost at the last page
});
