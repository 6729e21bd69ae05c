// The page: sends the form to the service, and shows the answer or what is wrong.

import { MOST_ROWS } from "./page_contract.js";
import { csv, download } from "./page_download.js";
import { complete, DEAL } from "./page_fields.js";
import { FileError, NUMBERS, readCandidates, wholeKey } from "./page_files.js";
import * as table from "./page_table.js";
import { count, moment, whole } from "./page_words.js";

const form = document.querySelector("#request"), said = document.querySelector("#said"), wrong = document.querySelector("#wrong");
const about = document.querySelector("#about"), remove = document.querySelector("#remove"), drop = document.querySelector("#drop");
complete(form);
const LISTS = ["tier", "platform", "niche"];
const FIELDS = new Set([...form.elements].map(field => field.name).filter(Boolean));
const MOST_BYTES = 8 * 2 ** 20, MOST_FAULTS = 20;
let current = null; // the request whose answer is awaited; an earlier one's is of no use any more

/** What stops a request; faults: [{place, field, detail, control}], control the name of the form's field. */
class Refusal extends Error {
  constructor(detail, faults = [], number = faults.length) {
    super(detail);
    Object.assign(this, { faults, number });
  }
}

const atField = (control, detail, place = "") => new Refusal("", [{ place, field: control, detail, control }]);

// ── requests ──

async function send(path, what, signal) {
  const headers = { "Content-Type": "application/json" }, key = form.key.value.trim();
  if (/[^ -~]/.test(key)) throw atField("key", "a key has no such characters: copy it again");
  if (key) headers["X-API-Key"] = key;
  const body = what && JSON.stringify(what);
  if (body && new Blob([body]).size > MOST_BYTES) throw new Refusal("These rows are too large for one request (8 MiB): send fewer.");
  let reply, answer = null;
  try {
    reply = await fetch(path, { method: body ? "POST" : "GET", headers, body, signal });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refusal(navigator.onLine ? "The service cannot be reached. It may be down: try again in a moment."
      : "You are offline. Try again when the connection is back.");
  }
  try {
    answer = await reply.json();
  } catch (error) {
    if (signal?.aborted) throw error; // else it is no JSON, or the connection broke
  }
  if (reply.ok && answer) return answer;
  throw refusal(reply, answer, key);
}

function refusal(reply, answer, key) {
  if (reply.status === 401) return Object.assign(atField("key", key ? "the service does not know this key" : "the service needs a key"), { key: true });
  if (!answer?.detail) return new Refusal(reply.ok ? "The answer broke off. Try again."
    : `The service, or a proxy before it, answered ${reply.status} without a reason. Try again.`);
  const seconds = Number(reply.headers.get("Retry-After")), later = seconds > 0 ? ` Try again in ${count(seconds, "second")}.` : "";
  const named = reply.status >= 500 && reply.status !== 503 && answer.request_id ? ` (request ${answer.request_id})` : "";
  const faults = (answer.errors ?? []).map(({ row, field, pointer, detail }) => ({ row, field: field ?? "", pointer, detail }));
  return new Refusal(faults.length ? "" : `${answer.detail}${later}${named}`, faults, answer.error_count ?? faults.length);
}

// the form's field that a fault of the service is about: "/deal/spend", "/filters/tier/0", "target_cost"
function control({ pointer, field }) {
  const names = `${pointer ?? ""}/${field}`.split(/[/.]/);
  return names.find(name => FIELDS.has(name) && name !== "file" && name !== "key");
}

// the place of an id in the list that was sent, undefined for a pointer to something else
const idNumber = pointer => /^\/creator_ids\/(\d+)/.exec(pointer ?? "")?.[1];

// run what sends; in its refusals, faults get their place: a line of the file or of the ids, a field of the form
async function placed(sending, lines, field) {
  try {
    return await sending();
  } catch (error) {
    if (error instanceof Refusal) for (const fault of error.faults) {
      const number = fault.row ?? (field === "creator_ids" ? idNumber(fault.pointer) : undefined);
      if (lines[number]) fault.place = `line ${lines[number]}`;
      fault.control ??= fault.row === undefined ? control(fault) : field;
    }
    if (error instanceof Refusal && error.faults.some(fault => fault.row !== undefined)) error.message = `${count(error.number, "fault")} in the file.`;
    throw error;
  }
}

async function rankCreators(wanted, signal) {
  const deal = {}, filters = {};
  for (const { name } of DEAL) {
    const value = form[name].value.trim();
    if (value) deal[name] = NUMBERS.has(name) ? Number(value) : value;
  }
  deal.starts_at = new Date(deal.starts_at).toISOString();
  for (const name of LISTS) {
    const words = listed(form[name].value.trim());
    if (words.length) filters[name] = words;
  }
  const what = { deal, filters, limit: Number(form.limit.value) }, { ids, lines } = creatorIds();
  if (ids.length) what.creator_ids = ids;
  say("Ranking…");
  const answer = await placed(() => send(`v1/rank?${wanted}`, what, signal), lines, "creator_ids");
  const scores = answer.scores.map(score => ({ ...deal, ...score }));
  const found = answer.considered ? `${whole(scores.length)} of ${count(answer.considered, "creator")}` : "No creator matches the filters";
  return [scores, [`${found}, by ${answer.model_version}: ${deal.brand}, from ${moment(deal.starts_at)}.`,
    unknown(scores), ...notices(answer, lines)]];
}

// words with commas between; one with a comma inside is quoted
const listed = text => [...text.matchAll(/(?:^|,)\s*(?:"((?:[^"]|"")*)"\s*(?=,|$)|([^,]*))/g)]
  .map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain.trim()).filter(Boolean);

function creatorIds() {
  const ids = [], lines = [];
  form.creator_ids.value.split("\n").forEach((text, i) => {
    const id = text.trim();
    if (id.includes("\t")) throw atField("creator_ids", "there are several columns: paste that of the ids alone", `line ${i + 1}`);
    if (id) { ids.push(wholeKey(id)); lines.push(i + 1); }
  });
  if (ids.length > MOST_ROWS) throw atField("creator_ids", `${whole(ids.length)} ids; ${whole(MOST_ROWS)} can be ranked at once`);
  return { ids, lines };
}

async function scoreFile(file, wanted, signal) {
  const { items, lines } = await readFile(file);
  say(`Scoring ${count(items.length, "candidate")}…`);
  const answer = await placed(() => send(`v1/score?${wanted}`, { items }, signal), lines, "file");
  const scores = answer.scores.map((score, i) => ({ ...items[i], ...score, listed: true }));
  return [scores, [`${count(scores.length, "candidate")} of ${file.name}, by ${answer.model_version}.`, unknown(scores), ...notices(answer, lines)]];
}

async function readFile(file) {
  try {
    return await readCandidates(file);
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    const faults = error.faults.map(({ line, ...rest }) => ({ ...rest, place: `line ${line}`, control: "file" }));
    throw Object.assign(new Refusal(`${file.name}: ${error.message}`, faults), { control: "file" });
  }
}

function unknown(scores) {
  const names = [...new Set(scores.filter(score => score.warnings.includes("unknown_creator")).map(score => score.creator_id))];
  const first = names.slice(0, 3).map(name => `“${name}”`).join(", ");
  const these = names.length === 1 ? "1 of these creators is" : `${whole(names.length)} of these creators are`;
  return names.length && `${these} not in the data: ${first}${names.length > 3 ? ", …" : "."}`;
}

// what the service says of a request that it has answered
const notices = (answer, lines) => (answer.notices ?? []).slice(0, MOST_FAULTS)
  .map(({ row, field, pointer, detail }) => {
    const line = lines[row ?? idNumber(pointer)];
    return sentence({ place: line && `line ${line}`, field, detail, control: row === undefined ? control({ pointer, field }) : undefined });
  });

// ── messages ──

function say(text) { said.textContent = text; }

function forgive() {
  wrong.replaceChildren();
  for (const field of form.querySelectorAll("[aria-invalid]")) unmark(field);
}

function unmark(field) {
  field.removeAttribute("aria-invalid");
  const note = field.closest(".field").querySelector(".fault");
  note?.remove();
  const others = (field.getAttribute("aria-describedby") ?? "").split(" ").filter(id => id && id !== note?.id);
  if (others.length) field.setAttribute("aria-describedby", others.join(" "));
  else field.removeAttribute("aria-describedby");
}

function mark(name, details) {
  const field = form[name], note = table.element("small", details.join("\n"), "fault");
  note.id = `fault-${name}`;
  field.setAttribute("aria-invalid", "true");
  field.setAttribute("aria-describedby", [field.getAttribute("aria-describedby"), note.id].filter(Boolean).join(" "));
  field.closest(".field").append(note);
}

// "line 4, spend: it is not above 0, received -1"
function sentence({ place, field, detail, control }) {
  const name = control && control !== "file" ? form[control].labels[0].firstChild.data.split(/[;\n]/)[0].trim() : field;
  const at = [place, name].filter(Boolean).join(", ");
  return at ? `${at}: ${detail}` : detail;
}

// a fault of one field stands at the field as well; those of a file are many, and stand there alone
function explain(error) {
  if (!(error instanceof Refusal)) throw error;
  forgive();
  say("");
  const { faults, number, message } = error, first = faults.slice(0, MOST_FAULTS);
  const sentences = [...first.map(sentence), ...number > first.length ? [`and ${whole(number - first.length)} more`] : []];
  const controls = new Set([error.control, ...first.map(fault => fault.control)].filter(Boolean)), ofFile = controls.has("file");
  wrong.append(table.element("p", message || (number === 1 ? sentences[0] : `${whole(number)} fields need to be put right:`)));
  if (!ofFile && number > (message ? 0 : 1)) {
    const list = table.element("ul");
    list.append(...sentences.map(text => table.element("li", text)));
    wrong.append(list);
  }
  for (const name of controls) {
    const own = first.filter(fault => fault.control === name).map(({ place, detail }) => place ? `${place}: ${detail}` : detail);
    mark(name, name === "file" ? [message, ...sentences] : own);
  }
  if (controls.size) form[[...controls][0]].focus();
}

async function model() {
  const place = document.querySelector("#model");
  try {
    const answer = await send("v1/model"), shown = { rank: "rank", value: "value", skill: "skill", coverage: "coverage of the interval" };
    const figures = Object.entries(shown).filter(([key]) => Number.isFinite(answer.figures[`ours.${key}`]))
      .map(([key, name]) => `${name} ${answer.figures[`ours.${key}`].toFixed(2)}`).join(", ");
    place.textContent = [answer.skill, `${answer.model_version}.`, figures && `Backtest: ${figures}.`].filter(Boolean).join(" ");
  } catch (error) {
    place.textContent = error.key ? "Enter your API key to see how well the model does." : error.message || "The key cannot be used.";
  }
}

// ── the form ──

form.addEventListener("submit", async event => {
  event.preventDefault();
  current?.abort();
  const mine = current = new AbortController(), file = form.file.files[0], cost = form.target_cost.value;
  const wanted = `include=interval,reasons,creator${cost && `&target_cost=${encodeURIComponent(cost)}`}`;
  forgive();
  table.wait(true);
  try {
    const [scores, sentences] = await (file ? scoreFile(file, wanted, mine.signal) : rankCreators(wanted, mine.signal));
    if (mine !== current) return;
    table.show(scores.sort((a, b) => a.rank - b.rank), cost);
    say(sentences.filter(Boolean).join("\n"));
    model();
  } catch (error) {
    if (mine !== current) return;
    table.clear();
    explain(error);
  } finally {
    if (mine === current) table.wait(false);
  }
});

async function choose() {
  const file = form.file.files[0];
  for (const part of ["deal", "creators"]) document.querySelector(`#${part}`).disabled = Boolean(file);
  remove.hidden = !file;
  about.textContent = file ? "Reading…" : "";
  forgive();
  if (!file) return;
  try {
    const { items, notes } = await readFile(file);
    if (form.file.files[0] === file)
      about.textContent = [`${count(items.length, "candidate")} in ${file.name}, with their own deals: the fields above are not used.`, ...notes].join(" ");
  } catch (error) {
    if (form.file.files[0] !== file) return;
    about.textContent = "";
    explain(error);
  }
}

form.file.addEventListener("change", choose);
form.addEventListener("input", ({ target }) => { if (target.hasAttribute("aria-invalid") && target !== form.file) unmark(target); });
form.key.addEventListener("change", model);
remove.addEventListener("click", () => {
  form.file.value = "";
  choose();
  form.file.focus();
});

for (const kind of ["dragover", "dragleave", "drop"]) window.addEventListener(kind, event => {
  event.preventDefault(); // a file dropped beside the field would take the place of the page
  const within = drop.contains(event.target), { files } = event.dataTransfer;
  drop.classList.toggle("over", kind === "dragover" && within);
  if (kind !== "drop" || !within) return;
  if (files.length !== 1) return explain(Object.assign(new Refusal(files.length ? "Drop one file at a time." : "Drop a file."), { control: "file" }));
  form.file.files = files;
  choose();
});

document.querySelector("#save").addEventListener("click", () => download(csv(table.left(), table.targeted()), "scores.csv"));

const soon = new Date(Date.now() + 14 * 864e5);
form.starts_at.value = new Date(soon - soon.getTimezoneOffset() * 6e4).toISOString().slice(0, 16);
model();
