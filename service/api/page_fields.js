// The fields of a deal: their bounds as the contract has them, and one for each column that the page has no field for.

import { CANDIDATES } from "./page_contract.js";

const KEYS = new Set(["candidate_id", "creator_id"]);
const NUMERIC = new Set(["number", "hours", "count"]);

/** Columns that a deal has, whoever the creator is: [{name, kind, required, meaning, unit, low, above, most}]. */
export const DEAL = CANDIDATES.filter(({ name }) => !KEYS.has(name));

function field({ name, kind, meaning, unit }) {
  const made = document.createElement("div"), label = document.createElement("label"), input = document.createElement("input");
  made.className = "field";
  label.textContent = `${meaning[0].toUpperCase()}${meaning.slice(1)}${unit ? `, ${unit}` : ""} `;
  input.name = name;
  if (NUMERIC.has(kind)) Object.assign(input, { type: "number", step: kind === "count" ? "1" : "any" });
  label.append(input);
  made.append(label);
  return made;
}

/** Put every column of a deal into the form. */
export function complete(form) {
  for (const column of DEAL) {
    if (!form[column.name]) form.querySelector("#deal").append(field(column));
    const input = form[column.name];
    input.required = column.required;
    if (column.most !== null) input.max = column.most;
    if (column.low !== null) input.min = column.low;
  }
}
