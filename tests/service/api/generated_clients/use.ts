// A program that uses the types which openapi-typescript made, with as little as it can say. node use.js PORT KEY
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

declare const process: { argv: string[]; exit(status: number): never };
const [port, key] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl: `http://127.0.0.1:${port}`, headers: { "X-API-Key": key ?? "" } });

type Item = components["schemas"]["Item"];
const deal: components["schemas"]["Deal"] = {
  brand: "somebody", product_niche: "beauty", starts_at: "2026-06-01", promotion_hours: 48, spend: 300,
};
const item: Item = { ...deal, creator_id: "creator_000001" };

function need<T>(answer: { data?: T; error?: unknown }): T {
  if (answer.data === undefined) { console.error(JSON.stringify(answer.error)); process.exit(1); }
  return answer.data;
}

const plain = need(await client.POST("/v1/score", { body: { items: [item] } }));
const rate: number = plain.scores[0]!.conversions_per_dollar;
const full = need(await client.POST("/v1/score", {
  params: { query: { include: ["reasons", "interval"], level: 0.9, target_cost: 25, confidence: 0.7 } },
  body: { items: [{ ...item, candidate_id: "a" }], history: null },
}));
const ranked = need(await client.POST("/v1/rank", { body: { deal } }));
const few = need(await client.POST("/v1/rank", { body: { deal, filters: { tier: ["micro", "nano"] }, limit: 3 } }));
const known = need(await client.GET("/v1/creators/{creator_id}", { params: { path: { creator_id: "creator_000001" } } }));
const model = need(await client.GET("/v1/model"));
const ok = rate > 0 && full.scores[0]!.reasons!.length > 0 && few.scores.length <= 3 && ranked.scores.length >= 3
  && known.features.length > 0 && model.model_version === plain.model_version;
if (!ok) process.exit(1);
console.log("all answered");
