// The table as a CSV that a spreadsheet opens as it is: a byte-order mark, CRLF, nothing that it would run.

import { CANDIDATES, OF_CREATOR, SCORES, TARGET_SCORES } from "./page_contract.js";
import { FORMULA } from "./page_files.js";

const COLUMNS = [...CANDIDATES.map(({ name }) => name), ...OF_CREATOR, ...SCORES], TARGET = new Set(TARGET_SCORES);

/** One cell, quoted; a text that might be a formula has a ' before it. */
export function cell(value) {
  const text = String(typeof value === "object" && value ? JSON.stringify(value) : value ?? "");
  const safe = typeof value === "string" && FORMULA.test(text) ? `'${text}` : text;
  return `"${safe.replaceAll('"', '""')}"`;
}

/** Scores → CSV text; targeted: whether they have the columns of a target cost. */
export function csv(scores, targeted) {
  const names = COLUMNS.filter(name => targeted || !TARGET.has(name));
  const lines = [names.map(cell), ...scores.map(score => names.map(name => cell(score[name])))];
  return `\ufeff${lines.map(line => line.join(",")).join("\r\n")}\r\n`;
}

/** Hand a text to the browser as a file. */
export function download(text, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000); // some browsers fetch it a moment later
}
