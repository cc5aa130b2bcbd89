"use strict";
// Everything that came off the wire is put into the page as text, never as markup.

const byId = (id) => document.getElementById(id);
const ALERTS_MAX = 200;
const HOSTS_MAX = 500;
const FILE_MAX = 10_000;

/** An element with a class and children; texts stay texts. */
function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return element;
}

function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const count = (number) => Math.round(number).toLocaleString("en");
const times = (number) => (number === 1 ? "once" : `${count(number)} times`);
const giga = (bits) => (bits / 1e9).toFixed(bits >= 1e10 ? 1 : bits >= 1e8 ? 2 : 3);

/** 1234567 as 1.23 M. */
function scaled(number) {
  for (const [unit, size] of [["T", 1e12], ["G", 1e9], ["M", 1e6], ["k", 1e3]]) {
    if (number >= size) return `${(number / size).toPrecision(3)} ${unit}`;
  }
  return number > 0 && number < 10 ? number.toFixed(1) : String(Math.round(number));
}

/** 1234567 as 1.23 MB. */
const bytes = (number) => `${scaled(number)}${number >= 1000 ? "" : " "}B`;

/** Milliseconds since 1970 of a time in UTC with six or nine digits behind the point. */
const millis = (text) => Date.parse(`${text.slice(0, 23)}Z`);

/** An address as it is written elsewhere on the page: EVE writes all eight groups of IPv6. */
function canonical(address) {
  try {
    return address && address.includes(":") ? new URL(`http://[${address}]/`).hostname.slice(1, -1) : address;
  } catch {
    return address;
  }
}

/** Gives each cell the name of its column, for screens that have no room for columns. */
function labelled(body) {
  const names = [...body.closest("table").querySelectorAll("th")].map((one) => one.textContent);
  for (const row of body.rows) {
    [...row.cells].forEach((cell, at) => { cell.dataset.label = row.cells.length > 1 ? names[at] : ""; });
  }
}

/** A time of the sensor, in the reader's zone; the day only when it is another. */
function clock(text) {
  const at = new Date(text.replace(/(\.\d{3})\d*/, "$1").replace(/\+0000$/, "Z"));
  if (Number.isNaN(at.getTime())) return text;
  const time = at.toLocaleTimeString("en-GB");
  const now = new Date();
  if (at.toDateString() === now.toDateString()) return time;
  const day = `${at.getDate()}\u00a0${at.toLocaleDateString("en", { month: "short" })}`;
  return at.getFullYear() === now.getFullYear() ? `${day} ${time}` : `${day}\u00a0${at.getFullYear()} ${time}`;
}

async function read(path) {
  const response = await fetch(path, { credentials: "same-origin" });
  if (response.status === 401) {
    location.reload();
    throw new Error("a token is needed");
  }
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

/** Calls `work` now and then, never twice at once; not while nobody looks. */
function repeat(work, everyMs) {
  const turn = async () => {
    if (!document.hidden) await work().catch(lost);
    setTimeout(turn, everyMs);
  };
  turn();
}

function lost() {
  say(byId("health"), "no answer");
  byId("health").className = "badge bad";
}

// The sensor's own numbers.

let before = null;

async function status() {
  const now = await read("/api/status");
  say(byId("sensor"), now.sensor);
  document.title = `${now.sensor} – Kaspector`;
  say(byId("about"), `version ${now.version} · signature set ${now.signatures.version || "none"}, ${count(now.signatures.indicators)} indicators · since ${clock(now.started)} · ${count(now.machines.seen)} machines seen, ${count(now.machines.judged)} judged`);
  say(byId("health"), now.ready ? "ready" : "not ready");
  byId("health").className = now.ready ? "badge good" : "badge bad";
  say(byId("reasons"), now.reasons.join("\n"));
  byId("reasons").hidden = now.ready;
  const noRoom = now.no_room.alerts > 0 ? [`${count(now.no_room.alerts)} alerts found no room in any output and are lost`] : [];
  say(byId("troubles"), [...now.troubles, ...noRoom].join("\n"));
  byId("troubles").hidden = !byId("troubles").textContent;
  const seconds = before ? (millis(now.now) - millis(before.now)) / 1000 : 0;
  const old = new Map((before ? before.interfaces : []).map((one) => [one.name, one]));
  const rate = (one, field) => (old.has(one.name) && seconds > 0 ? Math.max(0, one[field] - old.get(one.name)[field]) / seconds : 0);
  const sum = (fields) => now.interfaces.reduce((total, one) => total + fields.reduce((part, field) => part + rate(one, field), 0), 0);
  if (before && seconds > 0) {
    say(byId("packets"), scaled(sum(["packets"])));
    say(byId("bits"), giga(sum(["bytes"]) * 8));
    const drops = sum(["kernel_drops", "nic_drops"]);
    say(byId("drops"), scaled(drops));
    byId("drops-tile").classList.toggle("bad", drops > 0);
  }
  byId("interfaces").replaceChildren(...now.interfaces.map((one) => make("tr", "",
    make("td", "", one.name),
    make("td", "", make("span", one.is_up ? "tag good" : "tag bad", one.is_up ? "up" : "down")),
    make("td", "right", scaled(rate(one, "packets"))),
    make("td", "right", giga(rate(one, "bytes") * 8)),
    make("td", "right", count(one.kernel_drops)),
    make("td", "right", count(one.nic_drops)),
    make("td", "right", count(one.queue_drops)),
    make("td", "right", one.silent_s === null ? "never" : `${Math.round(one.silent_s)} s ago`))));
  byId("outputs").replaceChildren(...now.outputs.map((one) => make("tr", "",
    make("td", "", one.name),
    make("td", "", make("span", one.trouble ? "tag bad wrap" : "tag good", one.trouble ? one.trouble : "well")),
    make("td", "right", count(one.delivered)),
    make("td", "right", make("div", "", count(one.lost + one.rejected), ...one.losses.map((loss) => make("div", "dim", `${count(loss.alerts + loss.counters)} ${loss.reason.replaceAll("_", " ")}`)))),
    make("td", "right", `${count(one.waiting)}, ${bytes(one.spool_bytes)}${one.oldest_unacked_s >= 1 ? `, ${Math.round(one.oldest_unacked_s)} s` : ""}`))));
  if (!now.outputs.length) byId("outputs").replaceChildren(make("tr", "", make("td", "dim", "No output is configured.")));
  labelled(byId("interfaces"));
  labelled(byId("outputs"));
  before = now;
}

// The last hour.

const SVG = "http://www.w3.org/2000/svg";

function draw(tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

/** A round number at or above `most`. */
function ceiling(most) {
  if (!(most > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((step) => step * power).find((top) => top >= most);
}

let samples = [];

async function lastHour() {
  samples = (await read("/api/history")).samples.map((one) => ({ ...one, ms: millis(one.at) }));
  plot();
}

function plot() {
  const box = byId("plot");
  const [width, height, foot] = [Math.max(200, box.clientWidth), 170, 20];
  const image = draw("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  const end = samples.length ? samples[samples.length - 1].ms : Date.now();
  const x = (ms) => width - ((end - ms) / 3.6e6) * width;
  for (let minutes = 0; minutes <= 60; minutes += 15) {
    const at = width - (minutes / 60) * width;
    image.append(draw("line", { class: "grid", x1: at, x2: at, y1: 4, y2: height - foot }));
    if (width < 480 && minutes % 30) continue;
    const anchor = minutes === 0 ? "end" : minutes === 60 ? "start" : "middle";
    image.append(draw("text", { x: at, y: height - 4, "text-anchor": anchor }, minutes ? `−${minutes} min` : "now"));
  }
  image.append(draw("line", { class: "grid", x1: 0, x2: width, y1: height - foot, y2: height - foot }));
  const top = (field) => ceiling(samples.reduce((most, one) => Math.max(most, one[field]), 0));
  const line = (field) => {
    const most = top(field);
    let path = "";
    samples.forEach((one, number) => {
      const y = height - foot - (one[field] / most) * (height - foot - 8);
      // Where the sensor or its clock stood still there is a gap.
      const joined = number > 0 && one.ms - samples[number - 1].ms < 35_000;
      path += `${joined ? "L" : "M"}${x(one.ms).toFixed(1)} ${y.toFixed(1)}`;
    });
    return path;
  };
  if (samples.length > 1) {
    const packets = line("packets_per_s");
    const left = x(samples[0].ms).toFixed(1);
    if (packets.lastIndexOf("M") === 0) image.append(draw("path", { class: "area", d: `${packets}V${height - foot}H${left}Z` }));
    image.append(draw("path", { class: "bits", d: line("bits_per_s") }));
    image.append(draw("path", { class: "packets", d: packets }));
    if (samples.some((one) => one.drops_per_s > 0)) image.append(draw("path", { class: "drops", d: line("drops_per_s") }));
    const tops = [`top: ${scaled(top("packets_per_s"))} packets/s, ${giga(top("bits_per_s"))} Gb/s`];
    if (samples.some((one) => one.drops_per_s > 0)) tops.push(`${scaled(top("drops_per_s"))} drops/s`);
    const lines = width < 400 ? tops : [tops.join(", ")];
    lines.forEach((text, number) => image.append(draw("text", { x: 4, y: 14 + 14 * number }, text)));
    const most = samples.reduce((best, one) => Math.max(best, one.packets_per_s), 0);
    box.setAttribute("aria-label", `Packets per second over the last hour, at most ${scaled(most)}`);
  } else {
    image.append(draw("text", { x: width / 2, y: height / 2, "text-anchor": "middle" }, "The first samples come within half a minute."));
  }
  box.replaceChildren(image);
}

// Hosts.

const wish = { sort: "verdict", order: "asc" };
const open = new Set();
/** What indicators mean, by their ids; null until it is known. */
const meanings = new Map();
const FIELDS = ["words", "verdict", "service", "role", "subnet", "since", "until"];
let drawn = "";
let asked = 0;
let overTime = { counts: [] };

function keyOf(host) {
  return [host.address, host.vlan, host.inner_vlan, host.vni].join(" ").trimEnd();
}

/** What is asked for: the fields that say something. Days are those of the reader. */
function asking() {
  const query = new URLSearchParams(wish);
  const moment = (id, time) => {
    const at = new Date(`${byId(id).value}T${time}`);
    return byId(id).value && !Number.isNaN(at.getTime()) ? at.toISOString() : "";
  };
  const said = { q: byId("words").value, since: moment("since", "00:00:00"), until: moment("until", "23:59:59.999") };
  for (const name of ["verdict", "service", "role", "subnet"]) said[name] = byId(name).value.trim();
  for (const [name, value] of Object.entries(said)) if (value) query.set(name, value);
  return query;
}

/** Says what the list is cut to, on paper, too; and gives the same to whoever wants it as a file. */
function tellFilter(query, answer) {
  const parts = FIELDS.filter((id) => byId(id).value.trim()).map((id) => `${id === "words" ? "text" : id} ${byId(id).value.trim()}`);
  const most = answer && answer.matching > FILE_MAX ? [`files hold the first ${count(FILE_MAX)}`] : [];
  say(byId("filtered"), [parts.length ? `Only: ${parts.join(", ")}` : "", ...most].filter(Boolean).join("; "));
  byId("filtered").hidden = !byId("filtered").textContent;
  query.set("limit", FILE_MAX);
  byId("json").href = `/api/hosts?${query}`;
  query.set("format", "csv");
  byId("csv").href = `/api/hosts?${query}`;
}

async function hosts() {
  const query = asking();
  asked += 1;
  const mine = asked;
  const response = await fetch(`/api/hosts?${query}&limit=${HOSTS_MAX}`, { credentials: "same-origin" });
  if (response.status === 401) return location.reload();
  // Somebody typed on: a newer answer is under way, or here.
  if (mine !== asked) return;
  byId("subnet").setAttribute("aria-invalid", String(response.status === 400));
  if (response.status === 400) {
    // A subnet that is not written to its end, most of the time.
    say(byId("filtered"), (await response.text()).trim());
    byId("filtered").hidden = false;
    return;
  }
  if (!response.ok) throw new Error(`hosts: ${response.status}`);
  const answer = await response.json();
  if (mine !== asked) return;
  tellFilter(query, answer);
  overTime = answer.over_time;
  plotOverTime();
  for (const verdict of ["confirmed", "suspected", "browsing"]) say(byId(verdict), count(answer.verdicts[verdict]));
  const some = answer.hosts.length < answer.matching ? `first ${count(answer.hosts.length)} of ` : "";
  say(byId("shown"), answer.matching === answer.total ? `${some}${count(answer.total)}` : `${some}${count(answer.matching)} of ${count(answer.total)}`);
  const none = answer.total ? "No host fits the search." : "No host has shown such traffic yet.";
  say(byId("no-hosts"), none);
  byId("no-hosts").hidden = answer.hosts.length > 0;
  answer.hosts.filter((host) => open.has(keyOf(host))).forEach(learn);
  const picture = JSON.stringify([answer.hosts, [...open], [...meanings]]);
  if (picture === drawn) return;
  drawn = picture;
  const focused = document.activeElement && document.activeElement.dataset.key;
  byId("host-rows").replaceChildren(...answer.hosts.flatMap(rowsOf));
  if (focused !== undefined) [...document.querySelectorAll("[data-key]")].find((one) => one.dataset.key === focused)?.focus();
}

/** Asks what the indicators of a host mean, each once. */
function learn(host) {
  for (const { indicator } of host.evidence) {
    if (meanings.has(indicator)) continue;
    meanings.set(indicator, null);
    read(`/api/indicator?id=${encodeURIComponent(indicator)}`).then((meaning) => {
      meanings.set(indicator, meaning);
      return hosts();
    }).catch(() => meanings.delete(indicator));
  }
}

/** Hosts by the time at which they were first seen, one on the other by verdict. */
function plotOverTime() {
  const box = byId("over");
  const { counts, from, span_s } = overTime;
  const [width, height, foot] = [Math.max(200, box.clientWidth), 90, 18];
  const image = draw("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  const sum = (one) => one.reduce((all, part) => all + part, 0);
  const most = counts.reduce((top, one) => Math.max(top, sum(one)), 0);
  if (!most) return box.replaceChildren();
  const step = width / counts.length;
  counts.forEach((one, at) => {
    let y = height - foot;
    ["confirmed", "suspected", "browsing"].forEach((verdict, number) => {
      const tall = (one[number] / most) * (height - foot - 16);
      y -= tall;
      if (tall > 0) image.append(draw("rect", { class: verdict, x: (at * step).toFixed(1), y: y.toFixed(1), width: Math.max(1, Math.min(step - 1, 24)).toFixed(1), height: tall.toFixed(1) }));
    });
  });
  image.append(draw("line", { class: "grid", x1: 0, x2: width, y1: height - foot, y2: height - foot }));
  const begin = millis(from);
  const day = (ms) => (span_s < 86_400 ? clock(new Date(ms).toISOString())
    : new Date(ms).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" }));
  image.append(draw("text", { x: 0, y: 11 }, `Hosts by when they were first seen; top: ${count(most)}`));
  image.append(draw("text", { x: 0, y: height - 4 }, day(begin)));
  if (counts.length > 1) image.append(draw("text", { x: width, y: height - 4, "text-anchor": "end" }, day(begin + counts.length * span_s * 1000)));
  box.setAttribute("aria-label", `${count(counts.reduce((all, one) => all + sum(one), 0))} hosts by when they were first seen, at most ${count(most)} at once`);
  box.replaceChildren(image);
}

/** Opens the host that the address of the page names, and shows it alone. */
function follow() {
  const named = /^#host=(.+)$/.exec(location.hash);
  if (!named) return;
  let key;
  try { key = decodeURIComponent(named[1]); } catch { return; }
  FIELDS.forEach((id) => { byId(id).value = ""; });
  byId("subnet").value = key.split(" ")[0];
  open.add(key);
  byId("hosts").scrollIntoView();
  hosts().catch(lost);
}

function rowsOf(host) {
  const key = keyOf(host);
  const isOpen = open.has(key);
  const button = make("button", "", host.address);
  button.type = "button";
  button.dataset.key = key;
  button.setAttribute("aria-expanded", String(isOpen));
  button.addEventListener("click", () => {
    if (!open.delete(key)) open.add(key);
    hosts().catch(lost);
  });
  const address = make("td", "", button);
  const zone = [host.vlan === null ? "" : `VLAN ${host.vlan}${host.inner_vlan === undefined ? "" : `.${host.inner_vlan}`}`, host.vni === undefined ? "" : `VNI ${host.vni}`].filter(Boolean).join(", ");
  if (zone) address.append(make("div", "dim", zone));
  const name = (host.identity || []).find((label) => label.kind === "name");
  if (name) address.append(make("div", "dim name", name.text));
  const row = make("tr", "", address,
    make("td", "", make("span", `tag ${host.verdict}`, host.verdict)),
    make("td", "right wide", `${host.confidence} %`),
    make("td", "wide", make("div", "short", [...named(host.products, host.products_one_of), ...named(host.engine_in, host.engine_in_one_of)].join("; ") || host.categories.join(", "))),
    make("td", "right wide", `${bytes(host.bytes_sent + host.bytes_received)}`),
    make("td", "time", clock(host.last_seen)));
  return isOpen ? [row, detailOf(host)] : [row];
}

// Products that are named for certain, then each list of which one is meant.
function named(all, oneOf) {
  return [...all.filter((product) => !oneOf.some((list) => list.includes(product))), ...oneOf.map((list) => `one of: ${list.join(", ")}`)];
}

function detailOf(host) {
  const list = make("dl", "");
  const term = (name, text) => text && list.append(make("dt", "", name), make("dd", "", text));
  term("confidence", `${host.confidence} %`);
  term("role", host.role);
  for (const label of host.identity || []) {
    list.append(make("dt", "", label.kind), make("dd", "", make("span", "name", label.text), ` (${label.source}, ${clock(label.first_seen)} to ${clock(label.last_seen)})`));
  }
  term("hardware address", host.mac && `${host.mac}${host.maker ? `, card of ${host.maker}` : host.mac_local ? ", made up" : ""}`);
  term("behind router", host.next_hop_mac);
  if (host.macs && host.macs.length > 1) {
    term("seen with", host.macs.map((one) => `${one.mac} from ${clock(one.first_seen)} until ${clock(one.last_seen)}${one.next_hop ? " (router)" : ""}`).join("; "));
  }
  term("services", host.categories.join(", "));
  term("products", named(host.products, host.products_one_of).join("; "));
  term("engine inside", named(host.engine_in, host.engine_in_one_of).join("; "));
  const site = host.site || {};
  term("known as", [site.machine, site.subnet].filter(Boolean).map((one) => [one.name, one.owner].filter(Boolean).join(", ")).join("; "));
  term("first seen", clock(host.first_seen));
  term("last seen", clock(host.last_seen));
  term("flows", `${count(host.flows)}, ${bytes(host.bytes_sent)} out, ${bytes(host.bytes_received)} in`);
  term("note", (host.notes || []).join("; "));
  const link = make("a", "", "this host alone");
  link.href = `#host=${encodeURIComponent(keyOf(host))}`;
  list.append(make("dt", "", "link"), make("dd", "", link));
  const lines = make("ul", "", ...host.evidence.map((one) => {
    const meaning = meanings.get(one.indicator);
    const whose = meaning ? [...meaning.products, ...meaning.engine_in].join(", ") : "";
    const means = meaning ? `${meaning.kind} ${meaning.value}: ${meaning.proves}${whose ? ` (${whose})` : ""}. ${meaning.note}` : "";
    return make("li", "",
      make("div", "", make("span", "observed", one.observed)),
      make("div", "dim", `${one.field}, ${one.seen_as}, ${one.reached} · ${one.indicator} (${one.category}, ${one.strength}) · server ${one.server} port ${one.server_port} · ${times(one.count)}, first ${clock(one.first_seen)}, last ${clock(one.last_seen)} · packet ${one.example.packet}${one.example.input ? ` of ${one.example.input}` : ""}`),
      make("div", "meaning", means));
  }));
  const cell = make("td", "", list, lines);
  cell.colSpan = 6;
  return make("tr", "evidence", cell);
}

function sortBy(column) {
  const field = column.dataset.sort;
  const first = ["confidence", "bytes", "last_seen"].includes(field) ? "desc" : "asc";
  wish.order = wish.sort === field ? (wish.order === "asc" ? "desc" : "asc") : first;
  wish.sort = field;
  for (const other of document.querySelectorAll("#host-table th")) other.removeAttribute("aria-sort");
  column.setAttribute("aria-sort", wish.order === "asc" ? "ascending" : "descending");
  hosts().catch(lost);
}

// Alerts.

function add(item) {
  const list = byId("alerts");
  byId("no-alerts").hidden = true;
  list.prepend(item);
  while (list.childElementCount > ALERTS_MAX) list.lastElementChild.remove();
}

const shownIds = new Set();

function alerted(event, kind) {
  // A stream that begins anew may repeat.
  if (event.lastEventId && shownIds.has(event.lastEventId)) return;
  shownIds.add(event.lastEventId);
  if (shownIds.size > 5000) shownIds.clear();
  let record;
  try { record = JSON.parse(event.data); } catch { return; }
  const alert = record.alert || {};
  const metadata = alert.metadata || {};
  const first = (name) => (metadata[name] || [""])[0];
  const isHigh = first("kaspector_strength") === "installed" || first("kaspector_verdict") === "confirmed";
  // The host that it is about may be either end: of a management server or a mirror it is the server.
  const host = (alert.target || {}).ip || record.src_ip || "";
  const isServer = host !== record.src_ip && host === record.dest_ip;
  const zone = record.vlan && record.vlan.length ? `VLAN ${record.vlan.join(".")}` : "";
  const peer = isServer ? `port ${record.dest_port}, from ${canonical(record.src_ip)}`
    : record.dest_ip ? `to ${canonical(record.dest_ip)} port ${record.dest_port}` : "";
  const item = make("li", `${kind}${isHigh ? " high" : ""}`,
    make("p", "", make("strong", "", canonical(host)), " ", alert.signature || ""),
    make("p", "observed", first("kaspector_observed")),
    make("p", "dim", [record.timestamp ? clock(record.timestamp) : "", record.in_iface, zone, first("kaspector_field"), first("kaspector_reached"),
      peer, kind === "summary" ? `summary: ${times(Number(first("kaspector_count")))}` : "",
      first("kaspector_verdict") ? `verdict ${first("kaspector_verdict_before") || "none"} → ${first("kaspector_verdict")}` : ""].filter(Boolean).join(" · ")));
  add(item);
}

function listen() {
  const stream = new EventSource("/api/alerts?recent=50");
  stream.addEventListener("open", () => say(byId("line"), "live"));
  stream.addEventListener("error", () => {
    say(byId("line"), "interrupted; trying again");
    // The server said no, so the browser has given up.
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 10_000);
  });
  for (const kind of ["finding", "summary"]) stream.addEventListener(kind, (event) => alerted(event, kind));
  stream.addEventListener("lagged", (event) => {
    const { missed } = JSON.parse(event.data);
    add(make("li", "note", make("p", "dim", missed === null ? "Some alerts may be missing here." : `${count(missed)} alerts are missing here: this page was too slow.`)));
  });
}

// A token in the address would stay in bookmarks and be read over shoulders.
if (location.search) history.replaceState(null, "", `/${location.hash}`);
for (const column of document.querySelectorAll("th[data-sort]")) column.querySelector("button").addEventListener("click", () => sortBy(column));
byId("search").addEventListener("submit", (event) => event.preventDefault());
let typing;
for (const id of FIELDS) {
  byId(id).addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => hosts().catch(lost), 150);
  });
  byId(id).addEventListener("change", () => hosts().catch(lost));
}
byId("all").addEventListener("click", () => {
  FIELDS.forEach((id) => { byId(id).value = ""; });
  if (location.hash) history.replaceState(null, "", "/");
  hosts().catch(lost);
});
byId("print").addEventListener("click", () => print());
addEventListener("hashchange", follow);
addEventListener("resize", plotOverTime);
addEventListener("resize", plot);
repeat(status, 2000);
repeat(hosts, 3000);
repeat(lastHour, 10_000);
follow();
listen();
