// A file of candidates: its bytes → the rows that the service is sent, or the faults, by the file's own lines.

import { CANDIDATES, MOST_ROWS } from "./page_contract.js";

export const REQUIRED = CANDIDATES.filter(({ name, required }) => required && name !== "candidate_id").map(({ name }) => name);
export const COLUMNS = CANDIDATES.map(({ name }) => name);
export const NUMBERS = new Set(CANDIDATES.filter(({ kind }) => ["number", "hours", "count"].includes(kind)).map(({ name }) => name));
/** How a text begins that a spreadsheet may take for a formula, in full width too (OWASP, CSV injection). */
export const FORMULA = /^\s*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;
const MOST_BYTES = 64 * 2 ** 20;
const SEPARATORS = { ",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars" };
const SAVE = 'save it as "CSV UTF-8" and choose that file';
const MOST_TEXT = 60;

/** What is wrong with a file; faults: [{line, field, detail}], with line 1 the header. */
export class FileError extends Error {
  constructor(detail, faults = []) {
    super(detail);
    this.faults = faults;
  }
}

/** A file → {items, lines, notes}: lines[i] is where items[i] begins. Throws FileError. */
export async function readCandidates(file) {
  if (file.size > MOST_BYTES)
    throw new FileError(`It has ${Math.round(file.size / 2 ** 20)} MB; a list of 10,000 candidates has a few. Is it the right file?`);
  let bytes;
  try {
    bytes = new Uint8Array(await file.arrayBuffer());
  } catch {
    throw new FileError("It cannot be read: it changed or moved since it was chosen, or is a folder. Choose it again.");
  }
  return readText(decode(bytes));
}

const KINDS = [
  ["PK\x03\x04", archive],
  ["\xd0\xcf\x11\xe0", () => `an old Excel workbook (XLS), not a CSV: open it and ${SAVE}`],
  ["%PDF", () => "a PDF: ask for the table as CSV, or copy it into a spreadsheet and save that as CSV UTF-8"],
  ["PAR1", () => "a Parquet file: predict.py reads it as it is; for this page, write it as CSV"],
  ["\x1f\x8b", () => "compressed (gzip): unpack it first"],
  ["SQLite format 3", () => "a SQLite database: export the table as CSV"],
  ["{\\rtf", () => "a formatted text (RTF): save the table as CSV UTF-8 from a spreadsheet"],
  ["\xff\xfe", () => `UTF-16 text ("Unicode text" in Excel): ${SAVE}`],
  ["\xfe\xff", () => `UTF-16 text: ${SAVE}`],
];

function archive(start, bytes) {
  const names = new TextDecoder("latin1").decode(bytes);
  if (names.includes("xl/work")) return `an Excel workbook (XLSX), not a CSV: open it and ${SAVE}`;
  if (names.includes("opendocument.spreadsheet")) return `an OpenDocument spreadsheet (ODS): open it and ${SAVE}`;
  if (names.includes("Index/")) return "a Numbers spreadsheet: export it as CSV with the encoding Unicode (UTF-8)";
  return "a ZIP archive: unpack it first";
}

/** Bytes → text, where they are UTF-8; what else they are is explained. */
export function decode(bytes) {
  const start = String.fromCharCode(...bytes.subarray(0, 512));
  for (const [magic, explain] of KINDS) if (start.startsWith(magic)) throw new FileError(`This is ${explain(start, bytes)}.`);
  const visible = start.replace(/^\xef\xbb\xbf/, "").trimStart().toLowerCase();
  if (/^<(!doctype|html|table|head|body|meta|\?xml|!--)/.test(visible))
    throw new FileError(`This is a web page or XML, not a CSV, whatever its name: open it in a spreadsheet and ${SAVE}.`);
  if (/^(\[\s*[{[]|\{\s*")/.test(visible)) throw new FileError("This is JSON: send it to /v1/score, or write it as CSV.");
  if (bytes.includes(0)) {
    const nuls = [0, 1].map(odd => [...start].filter((c, i) => c === "\0" && i % 2 === odd).length);
    const wide = Math.max(...nuls) > start.length / 4 && Math.min(...nuls) < start.length / 50;
    throw new FileError(wide ? `This is UTF-16 text: ${SAVE}.` : `This is not a text file: open it in the program it is from and ${SAVE}.`);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    const line = foreignLine(bytes);
    const cure = `the letters are those of Windows or Latin-1, as Excel's plain "CSV" has them: ${SAVE}`;
    throw new FileError("This is not UTF-8 text.", [{ line, field: "", detail: cure }]);
  }
}

// the first line that is not UTF-8
function foreignLine(bytes) {
  const strict = new TextDecoder("utf-8", { fatal: true });
  for (let line = 1, from = 0, i = 0; i <= bytes.length; i++) {
    if (i < bytes.length && bytes[i] !== 10 && bytes[i] !== 13) continue;
    try {
      strict.decode(bytes.subarray(from, i));
    } catch {
      return line;
    }
    if (bytes[i] === 13 && bytes[i + 1] === 10) i++;
    [from, line] = [i + 1, line + 1];
  }
  return 1;
}

/** Records of a text: [{line, cells}], line counted as an editor counts. Quotes are those of RFC 4180. */
export function records(text, separator, most = Infinity) {
  const found = [];
  let cells = [], cell = "", line = 1, began = 1, i = 0;
  const next = () => { cells.push(cell); cell = ""; };
  const end = () => {
    next();
    found.push({ line: began, cells });
    [cells, began] = [[], line];
  };
  const fresh = () => i === 0 || text[i - 1] === separator || text[i - 1] === "\n" || text[i - 1] === "\r";
  for (; i < text.length && found.length < most; i++) {
    const c = text[i];
    if (c === '"' && cell === "" && fresh()) {
      const [value, after, lines] = quoted(text, i + 1, line);
      [cell, i, line] = [value, after - 1, lines];
      if (after < text.length && ![separator, "\n", "\r"].includes(text[after]))
        throw new FileError("A quoted cell goes on after its closing quote.",
          [{ line, field: "", detail: 'double a quote within quotes ("") or leave the quotes out' }]);
    } else if (c === separator) next();
    else if (c === "\n" || c === "\r") {
      if (c === "\r" && text[i + 1] === "\n") i++;
      line++;
      end();
    } else cell += c;
  }
  if (found.length < most && (cell !== "" || cells.length || /["]$/.test(text))) end();
  return found;
}

// the text of a quoted cell that begins at `from`, what follows its closing quote, and the line there
function quoted(text, from, line) {
  const began = line;
  for (let i = from; ;) {
    const close = text.indexOf('"', i);
    if (close < 0) throw new FileError("A quote is never closed.", [{ line: began, field: "", detail: "the cell that begins with a quote has no closing one" }]);
    line += (text.slice(i, close).match(/\r\n|\n|\r/g) ?? []).length;
    if (text[close + 1] !== '"') return [text.slice(from, close).replaceAll('""', '"'), close + 1, line];
    i = close + 2;
  }
}

// the separator under which the header has the most columns that are known, else the most columns
function separate(text) {
  const tried = Object.keys(SEPARATORS).map(separator => {
    let cells = [];
    try {
      cells = records(text, separator, 1)[0]?.cells ?? [];
    } catch (error) { if (!(error instanceof FileError)) throw error; }
    return { separator, known: cells.filter(name => plainName(name)).length, count: cells.length };
  });
  return tried.sort((a, b) => b.known - a.known || b.count - a.count)[0].separator;
}

const plainName = name => {
  const bare = name.toLowerCase().replace(/[^a-z]+/g, "");
  return COLUMNS.find(one => one.replaceAll("_", "") === bare);
};

/** Text → {items, lines, notes}. Throws FileError with every fault that can be seen here. */
export function readText(text) {
  let stated = /^sep=(.)(\r\n|\n|\r)/i.exec(text), skipped = 0; // Excel's own first line
  if (stated) [text, skipped] = [text.slice(stated[0].length), 1];
  if (!/[^\s,;|"]/.test(text)) throw new FileError("The file is empty: its first line needs the names of the columns.");
  const separator = stated ? stated[1] : separate(text);
  const rows = records(text, separator).map(row => ({ ...row, line: row.line + skipped }))
    .filter(row => row.cells.some(cell => cell.trim() !== ""));
  const [header, ...found] = rows;
  const names = header.cells.map(name => name.trim());
  checkHeader(names, header.line, separator);
  if (!found.length) throw new FileError("There is no row below the header.");
  if (found.length > MOST_ROWS)
    throw new FileError(`It has ${found.length.toLocaleString("en-US")} rows; 10,000 can be scored at once. Split it, or score it with predict.py.`);
  const faults = [], counts = { padded: [], defused: [], damaged: [], pointed: [] };
  const items = found.map(row => readRow(row, names, separator, faults, counts));
  if (faults.length) throw new FileError(`${faults.length.toLocaleString("en-US")} ${faults.length === 1 ? "cell" : "cells"} cannot be read.`, faults);
  return { items, lines: found.map(row => row.line), notes: notes(names, separator, counts) };
}

function checkHeader(names, line, separator) {
  const doubled = names.find((name, i) => COLUMNS.includes(name) && names.indexOf(name) !== i);
  if (doubled) throw new FileError("A column is there twice.", [{ line, field: doubled, detail: "leave one of them" }]);
  const missing = REQUIRED.filter(name => !names.includes(name));
  if (!missing.length) return;
  const likely = names.filter(name => !COLUMNS.includes(name) && missing.includes(plainName(name)))
    .map(name => `${shown(name)} → ${plainName(name)}`);
  const found = names.filter(Boolean).map(shown).slice(0, 20).join(", ") || "none";
  const detail = `${missing.join(", ")} missing; found ${found} (separated by ${SEPARATORS[separator] ?? shown(separator)})`;
  throw new FileError("The first line must have the names of the columns.",
    [{ line, field: "", detail: detail + (likely.length ? `. Rename ${likely.join(", ")}` : "") }]);
}

function readRow({ line, cells }, names, separator, faults, counts) {
  const item = {};
  if (cells.length > names.length || cells.length < names.length) {
    if (cells.slice(names.length).some(cell => cell.trim() !== "") || cells.length < names.length) {
      const detail = `${cells.length} cells, the header has ${names.length}: a cell with ${SEPARATORS[separator] ?? "the separator"} inside needs quotes`;
      faults.push({ line, field: "", detail });
      return item;
    }
  }
  names.forEach((name, i) => {
    if (!COLUMNS.includes(name)) return;
    const [value, fault] = readCell(name, cells[i], separator, line, counts);
    if (fault) faults.push({ line, field: name, detail: fault });
    else if (value !== null) item[name] = value;
  });
  return item;
}

// a cell → [value or null, fault or undefined]
function readCell(name, text, separator, line, counts) {
  const bare = text.trim();
  if (bare === "") return [null, REQUIRED.includes(name) ? "every row needs it" : undefined];
  if (/^#(N\/A|REF!|VALUE!|NAME\?|DIV\/0!|NUM!|NULL!)$/.test(bare)) return [null, `${shown(bare)} is a spreadsheet's error: mend the formula`];
  if (NUMBERS.has(name)) {
    if (/^[+-]?[1-9]\d{0,2}\.\d{3}$/.test(bare)) counts.pointed.push(`line ${line}, ${name}: ${bare} is ${Number(bare)}`);
    return readNumber(bare, separator);
  }
  if (name === "starts_at") return [bare, wrongDate(bare)];
  if (bare !== text) counts.padded.push(`line ${line}, ${name}`);
  if (text.includes("\ufffd")) counts.damaged.push(`line ${line}, ${name}`);
  if (name.endsWith("_id")) {
    if (/^\d\.\d+E\+\d+$/i.test(bare)) return [null, `${shown(bare)} was shortened by a spreadsheet and lost digits: format the column as text`];
    const whole = wholeKey(text);
    if (whole !== text) return [whole];
  }
  if (text[0] === "'" && FORMULA.test(text.slice(1))) { // as the download of this page writes it
    counts.defused.push(`line ${line}, ${name}`);
    return [text.slice(1)];
  }
  return [text];
}

/** A key as the contract reads it: 17.0 is 17. */
export const wholeKey = text => /^-?\d+\.0+$/.test(text) ? text.slice(0, text.indexOf(".")) : text;

const PLAIN = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

function readNumber(text, separator) {
  if (PLAIN.test(text)) return Number.isFinite(Number(text)) ? [Number(text)] : [null, `${shown(text)} is too large`];
  const bare = text.replace(/^(US)?[$€£]\s*|\s*([$€£]|USD)$/gi, "").replace(/[\s\u00a0\u202f']/g, "");
  const grouped = /^[+-]?\d{1,3}(,\d{3})+(\.\d+)?$/.test(bare), decimal = /^[+-]?\d+,\d+$/.test(bare);
  const money = /^(US)?\$/i.test(text);
  let cure = "write a plain number such as 1234.5";
  if (/€|£/.test(text)) cure = "money is in US dollars: convert it, and write a plain number such as 1234.5";
  else if (PLAIN.test(bare)) cure = `write ${bare}`;
  else if (grouped && (bare.split(",").length > 2 || bare.includes(".") || (money && separator !== ";"))) cure = `write ${bare.replaceAll(",", "")}`;
  else if (grouped) cure = `write ${bare.replaceAll(",", "")} or ${Number(bare.replace(",", "."))}, whichever is meant`;
  else if (decimal) cure = `write ${bare.replace(",", ".")}, with a decimal point`;
  else if (/^[+-]?\d{1,3}(\.\d{3})+,\d+$/.test(bare)) cure = `write ${bare.replaceAll(".", "").replace(",", ".")}`;
  return [null, `${shown(text)} is not a plain number: ${cure}`];
}

function wrongDate(text) {
  const cure = "write ISO 8601, such as 2026-03-31 or 2026-03-31T18:00:00Z";
  const days = /^(\d{1,2})([/.-])(\d{1,2})\2(\d{4})(?!\d)/.exec(text);
  if (days) {
    const [a, b, year] = [Number(days[1]), Number(days[3]), days[4]], two = n => String(n).padStart(2, "0");
    const forms = [[a, b], [b, a]].filter(([month, day]) => month <= 12 && day <= 31).map(([month, day]) => `${year}-${two(month)}-${two(day)}`);
    const meant = [...new Set(forms)];
    if (meant.length === 1) return `${shown(text)} is not ISO 8601: write ${meant[0]}${text.length > days[0].length ? " with the time after it" : ""}`;
    if (meant.length) return `${shown(text)} may be ${meant.join(" or ")}: write which, in ISO 8601`;
  }
  if (days || /^\d{1,2}[/.-]\d{1,2}[/.-]\d{2}(?!\d)/.test(text) || /^\d{4}[/.]/.test(text)) return `${shown(text)} is not ISO 8601: ${cure}`;
  if (/^\d{5}(\.\d+)?$/.test(text)) return `${shown(text)} is a spreadsheet's number of a day: format the column as yyyy-mm-dd`;
  return undefined; // the service says what else is wrong with it
}

function notes(names, separator, { padded, defused, damaged, pointed }) {
  const found = [];
  if (separator !== ",") found.push(`Separated by ${SEPARATORS[separator] ?? shown(separator)}.`);
  const unused = names.filter(name => name && !COLUMNS.includes(name)), unnamed = names.filter(name => !name).length;
  if (unnamed) unused.push(unnamed === 1 ? "a column without a name" : `${unnamed} columns without a name`);
  if (unused.length) found.push(`Not used: ${unused.slice(0, 12).map(shown).join(", ")}${unused.length > 12 ? ` and ${unused.length - 12} more` : ""}.`);
  const say = (list, one, many) => list.length && found.push(`${list.length.toLocaleString("en-US")} ${list.length === 1 ? one : many} (first: ${list[0]}).`);
  say(padded, "cell begins or ends with a blank, which is kept", "cells begin or end with a blank, which is kept");
  say(pointed, "number has three digits after a point, which is read as a decimal point", "numbers have three digits after a point, which is read as a decimal point");
  say(damaged, "cell has letters that were lost (\ufffd)", "cells have letters that were lost (\ufffd)");
  say(defused, "cell is read without the ' that the download puts before a formula", "cells are read without the ' that the download puts before a formula");
  return found;
}

/** A value as a message shows it. */
export const shown = text => text.length > MOST_TEXT ? `${text.slice(0, MOST_TEXT - 1)}…` : text;
