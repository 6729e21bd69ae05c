// Scores in a person's words: numbers rounded, features by the catalogue's labels and units.

import labels from "./page_labels.js";

const LOCALE = "en-US"; // the page is in English, and so are its numbers, wherever it is read
const number = (value, most, least = 0) => value.toLocaleString(LOCALE, { minimumFractionDigits: least, maximumFractionDigits: most });

/** Rounded to three digits, or to whole numbers from 100 on: 0.0123, 1.2, 12.3, 1,235. */
export const digits = value => Math.abs(value) >= 100 ? number(value, 0) : value.toLocaleString(LOCALE, { maximumSignificantDigits: 3 });
/** The same with all three digits shown, for columns. */
export const figure = value => Math.abs(value) >= 100 ? number(value, 0)
  : value.toLocaleString(LOCALE, { minimumSignificantDigits: 3, maximumSignificantDigits: 3 });
export const whole = value => number(value, 0);
export const money = value => `$${Math.abs(value) >= 1000 ? number(value, 0) : Math.abs(value) >= 0.995 ? number(value, 2, 2) : digits(value)}`;
export const price = value => `$${number(value, Number.isInteger(value) ? 0 : 2, Number.isInteger(value) ? 0 : 2)}`;
export const percent = value => `${number(100 * value, value && Math.abs(value) < 0.1 ? 1 : 0)} %`;
export const factor = value => `×${value >= 100 ? number(value, 0) : value >= 0.1 ? number(value, 2, 2) : digits(value)}`;
export const count = (n, one, many = `${one}s`) => `${whole(n)} ${n === 1 ? one : many}`;

const MONTHS = "January February March April May June July August September October November December".split(" ");
const DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split(" ");
const UNITS = {
  share: percent,
  "US dollars": value => value >= 1 ? price(value) : money(value),
  "0 or 1": value => value ? "yes" : "no",
  "log ratio": value => `${value < 0 ? "−" : "+"}${percent(Math.abs(Math.expm1(value)))}`,
  "× market rate": value => `${digits(value)} × the market's`,
  "× market rate of clicks": value => `${digits(value)} × the market's`,
  month: value => MONTHS[value - 1],
  day: value => DAYS[value],
};
const BARE = new Set(["ratio", "class", "standard deviation of ln", "conversions per dollar"]);

/** What a factor is about: the feature's label and its value with its unit. */
export function reason({ feature, value }) {
  const [label, unit] = labels[feature] ?? [feature.replaceAll("_", " "), ""];
  return `${label[0].toUpperCase()}${label.slice(1)}: ${measured(value, unit)}`;
}

function measured(value, unit) {
  if (value === null) return "unknown";
  if (typeof value === "string") return value;
  if (UNITS[unit]) return UNITS[unit](value) ?? digits(value);
  if (!unit || BARE.has(unit)) return digits(value);
  return `${digits(value)} ${value === 1 ? unit.replace(/s$/, "") : unit}`;
}

const WARNINGS = {
  unknown_creator: "creator not in the data",
  no_posts: "no posts in the last 90 days",
  no_comments: "no comments in the data",
  no_results: "no past results with this creator",
  unknown_category: "a niche, brand or country without past results",
  outside_training_range: "price, length or size beyond past deals",
  unlike_results: "unlike any past deal: wider range",
  far_ahead: "starts more than a year after the latest past deal",
};

export const warning = code => WARNINGS[code] ?? code.replaceAll("_", " ");

/** A moment as it was sent, as people read it, UTC. */
export const moment = text => text.replace("T", " ").replace(/(:00)?(\.0+)?(Z|\+00:00)?$/, (all, seconds, fraction, zone) => zone ? " UTC" : "");
