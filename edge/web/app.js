// Draws what edge_overview says, once a second. Values from the edge become text nodes, never markup.

import { call } from "/api.js";

const EVERY_MS = 1000;
const LOOKS = 60;
const PURPOSES = {
  1: "treatment", 2: "emergency treatment", 3: "payment", 4: "operations", 5: "research",
  6: "public health", 7: "patient request", 8: "quality improvement", 9: "clinical trial",
  16: "statistics", 17: "education", 18: "policy", 19: "product development", 20: "algorithm training",
};
const VERDICTS = [
  "all proved", "other ciphertext", "key does not fit", "does not decrypt", "leaf does not prove",
  "content differs", "withdrawn", "wrong format", "outside scope", "below label",
];
const KINDS = {
  1: "non-delivery", 2: "late", 3: "hash mismatch", 4: "format or quality", 5: "over-broad request",
  6: "purpose breach", 7: "unjust refusal", 8: "unlawful break-glass", 9: "false complaint",
};
const GOOD = new Set(["granted", "accepted", "completed"]);
const BAD = new Set(["revoked", "refused", "disputed", "key overdue", "expired", "upheld"]);

const $ = (id) => document.getElementById(id);
const looks = [];
let shown = "";

/** An element with attributes and children; strings become text. */
function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

const short = (id) => el("code", { title: id }, `${id.slice(0, 10)}…${id.slice(-4)}`);
const when = (secs) => new Date(secs * 1000).toISOString().slice(0, 16).replace("T", " ") + " UTC";
const percent = (bps) => `${(bps / 100).toFixed(2)} %`;
const mood = (word) => (GOOD.has(word) ? "good" : BAD.has(word) ? "bad" : "wait");
const state = (word) => el("span", { class: `state ${mood(word)}` }, word);

function facts(pairs) {
  return pairs.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]);
}

function table(caption, columns, rows) {
  if (rows.length === 0) return el("p", { class: "none" }, "None yet.");
  const head = el("tr", {}, ...columns.map((name) => el("th", { scope: "col" }, name)));
  const body = rows.map((cells) => el("tr", {}, ...cells.map((cell) => el("td", {}, cell))));
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    el("table", {}, el("caption", {}, caption), el("thead", {}, head), el("tbody", {}, ...body)));
}

function drawHead(chain) {
  const previous = looks.length ? looks[looks.length - 1].head : chain.head;
  looks.push({ head: chain.head, fresh: chain.head !== previous });
  if (looks.length > LOOKS) looks.shift();
  $("head").textContent = String(chain.head);
  $("head").classList.toggle("new", looks[looks.length - 1].fresh);
  $("final").textContent = String(chain.final);
  $("age").textContent = `${Math.max(0, chain.now - chain.timestamp)} s`;
  const bars = looks.map((look, i) => {
    const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    const height = look.fresh ? 40 : 6;
    const box = { x: i * 10 + 2, y: 46 - height, width: 6, height };
    for (const [key, value] of Object.entries(box)) bar.setAttribute(key, value);
    if (!look.fresh) bar.setAttribute("class", "still");
    return bar;
  });
  $("pulse").replaceChildren(...[...$("pulse").children].slice(0, 2), ...bars);
}

function institution(row, here) {
  const standing = row.standing;
  const meter = el("meter", { min: 0, max: 10000, low: 2500, high: 5000, optimum: 10000, value: standing.meanBps },
    percent(standing.meanBps));
  const sanctions = standing.sanctions.length === 0 ? "none"
    : standing.sanctions.map((s) => `${s.level} until ${when(s.until)}`).join("; ");
  const batches = row.batches.length === 0 ? "none yet"
    : row.batches.map((b) => `#${b.seq} of 2^${b.sizeLog2} leaves in block ${b.block}`).join("; ");
  return el("article", here ? { class: "here" } : {},
    el("h3", {}, row.name, here ? " (this edge)" : ""),
    el("dl", { class: "facts" }, ...facts([
      ["Id", short(row.id)],
      ["Edge", el("a", { href: row.endpoint }, row.endpoint)],
      ["Credibility", el("span", {}, meter, ` ${percent(standing.meanBps)}, at least ${percent(standing.lcbBps)}, from ${standing.count} events`)],
      ["Sanctions", sanctions],
      ["Anchored", batches],
    ])));
}

function complaint(row, nameOf) {
  const steps = row.steps.map((step) => el("li", {}, `${step.what}, block ${step.block}`));
  return el("article", {},
    el("h3", {}, `${nameOf(row.complainant)} about ${nameOf(row.respondent)}`),
    el("dl", { class: "facts" }, ...facts([
      ["Case", short(row.caseId)],
      ["About", KINDS[row.kind] ?? String(row.kind)],
      ["Delivery", short(row.subject)],
      ["Ruling", el("span", {}, state(row.ruling), row.severity === "none" ? "" : `, ${row.severity}`)],
    ])),
    el("ol", { class: "path", "aria-label": "Stages" }, ...steps));
}

function draw(view) {
  const names = new Map(view.institutions.map((row) => [row.id, row.name]));
  const nameOf = (id) => names.get(id) ?? `${id.slice(0, 10)}…`;
  $("who").textContent = `${view.edge.name}, account ${view.edge.account}`;
  $("chain-facts").replaceChildren(...facts([
    ["Chain id", String(view.chain.chainId)],
    ["Node", view.chain.rpc],
    ["Genesis", short(view.chain.genesisHash)],
    ["Finality", view.edge.finality === "burial" ? "by burial under later blocks (no votes yet)" : view.edge.finality],
  ]));
  $("institutions").replaceChildren(
    ...view.institutions.map((row) => institution(row, row.id === view.edge.institution)));
  $("grants").replaceChildren(table("Newest change first", ["State", "Requester", "Owner", "Purpose", "Until", "Block", "Grant"],
    view.grants.map((g) => [state(g.state), nameOf(g.requester), nameOf(g.owner),
      PURPOSES[g.purpose] ?? String(g.purpose), when(g.until), String(g.changedBlock), short(g.grantId)])));
  $("deliveries").replaceChildren(table("Newest change first", ["State", "Number", "Verdict", "Fault by rule", "Block", "Delivery"],
    view.deliveries.map((d) => [state(d.state), String(d.seq),
      d.verdict === null ? "–" : VERDICTS[d.verdict] ?? String(d.verdict),
      d.fault === null ? "–" : d.fault === 4 ? "bad leaf" : `fault ${d.fault}`, String(d.block), short(d.deliveryId)])));
  $("cases").replaceChildren(...(view.cases.length === 0 ? [el("p", { class: "none" }, "None yet.")]
    : view.cases.map((row) => complaint(row, nameOf))));
}

async function look() {
  try {
    const view = await call("edge_overview");
    drawHead(view.chain);
    const { chain, ...rest } = view;
    const now = JSON.stringify([rest, chain.chainId]);
    if (now !== shown) draw(view); // unchanged parts keep focus and selection
    shown = now;
    if ($("link").textContent !== "Connected.") $("link").textContent = "Connected.";
  } catch (error) {
    if ($("link").textContent !== error.message) $("link").textContent = error.message;
  } finally {
    setTimeout(look, EVERY_MS);
  }
}

look();
