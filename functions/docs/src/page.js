"use strict";

// Creates an element. Content is added as text, never as markup, so that neither the document nor an API response can
// inject HTML into the page.
const make = (tag, properties = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value; else element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
};
const find = (id) => document.getElementById(id);
// Renders `code` in descriptions. Lists and paragraphs are the only other Markdown that they use.
const prose = (text) => (text ?? "").split("`").map((part, odd) => (odd % 2 ? make("code", {}, part) : part));
const paragraphs = (text) => (text ?? "").split("\n\n").filter(Boolean).map((part) => make("p", {}, prose(part)));
// A long path breaks before a slash.
const breakable = (path) => path.split(/(?=\/)/).flatMap((step) => [make("wbr"), step]);
const pretty = (value) => JSON.stringify(value, null, 2);

let api;
// The bearer token and the secrets, such as the webhook secret, are kept for this tab, also when the page is loaded again.
// The browser forgets them when the tab is closed.
const kept = {
  prefix: "lisa-docs-",
  // Storage throws where a browser blocks it. The values are then kept in this page only.
  blocked: {},
  names() {
    try {
      return Object.keys(sessionStorage).filter((key) => key.startsWith(this.prefix)).map((key) => key.slice(this.prefix.length));
    } catch { return Object.keys(this.blocked); }
  },
  get(name) {
    try { return sessionStorage.getItem(this.prefix + name) ?? ""; } catch { return this.blocked[name] ?? ""; }
  },
  set(name, value) {
    try {
      if (value) sessionStorage.setItem(this.prefix + name, value); else sessionStorage.removeItem(this.prefix + name);
    } catch {
      if (value) this.blocked[name] = value; else delete this.blocked[name];
    }
    find("forget").hidden = !this.names().length;
  },
};

function useToken(value) {
  kept.set("token", value);
  find("token").value = value;
}

/** Removes the token and all secrets, also from the fields. */
function forget() {
  for (const name of kept.names()) kept.set(name, "");
  find("token").value = "";
  for (const input of document.querySelectorAll("[data-secret]")) input.value = "";
}

/** Resolves a `$ref`. Properties beside it take precedence over those of its target. */
function resolve(value) {
  const { $ref, ...beside } = value ?? {};
  if (!$ref) return beside;
  const target = $ref.slice(2).split("/").reduce((at, step) => at[step.replace(/~1/g, "/").replace(/~0/g, "~")], api);
  return { ...resolve(target), ...beside };
}

const alternatives = (schema) => (schema.oneOf ?? schema.anyOf ?? []).map(resolve).filter((one) => one.type !== "null");

function typeOf(schema) {
  const some = alternatives(schema);
  const isNullable = [schema.type].flat().includes("null") || (schema.oneOf ?? []).some((one) => one.type === "null");
  const plain = [schema.type ?? (schema.properties ? "object" : some.length ? [] : "any")].flat();
  let name = plain.filter((type) => type !== "null").join(" or ");
  if (some.length) name = some.map(typeOf).join(" or ");
  if (name === "array") name = `array of ${typeOf(resolve(schema.items))}`;
  return name + (schema.format ? ` (${schema.format})` : "") + (isNullable ? " or null" : "");
}

/** Shows the limits of a schema that its description does not mention. */
function limits(schema) {
  const words = (schema.description ?? "").replace(/(\d),(?=\d{3})/g, "$1").split(/[^\w]+/);
  const said = [];
  const range = (unit, least, most) => {
    if (words.includes(String(most ?? least))) return;
    if (least === most && least !== undefined) said.push(`${least}${unit}`);
    else if (least !== undefined && most !== undefined) said.push(`${least} to ${most}${unit}`);
    else if (least !== undefined) said.push(`at least ${least}${unit}`);
    else if (most !== undefined) said.push(`at most ${most}${unit}`);
  };
  range("", schema.minimum, schema.maximum);
  range(" characters", schema.minLength, schema.maxLength);
  range(" items", schema.minItems, schema.maxItems);
  if (schema.enum) said.push(`one of ${schema.enum.join(", ")}`);
  if (schema.default !== undefined && schema.default !== null) said.push(`${schema.default} unless said`);
  return said.length ? make("span", { className: "soft" }, ` ${said.join("; ")}`) : null;
}

/** Shows the properties of an object, of an array's items, or of each alternative, as nested lists. */
function schemaTree(raw, depth = 0) {
  const schema = resolve(raw);
  if (depth > 6) return [];
  if (schema.items) return schemaTree(schema.items, depth);
  const some = alternatives(schema);
  if (some.length) {
    const each = some.map((one) => schemaTree(one, depth + 1));
    return each.flatMap((tree, at) => (at && tree.length ? [make("div", { className: "soft" }, "or"), ...tree] : tree));
  }
  const properties = Object.entries(schema.properties ?? {});
  if (!properties.length) return [];
  const rows = properties.map(([name, inner]) => {
    const property = resolve(inner);
    const isRequired = schema.required?.includes(name);
    return make("li", {},
      make("span", { className: "name" }, name),
      make("span", { className: "type" }, typeOf(property)),
      isRequired ? null : make("span", { className: "soft" }, "optional "),
      prose(property.description), limits(property),
      schemaTree(property, depth + 1));
  });
  return [make("ul", { className: "schema" }, rows)];
}

/** Returns the documented example, or one made from the schema. */
function example(media) {
  if (media?.example !== undefined) return media.example;
  const named = Object.values(media?.examples ?? {})[0];
  if (named) return resolve(named).value;
  return media?.schema ? sample(media.schema) : undefined;
}

function sample(raw, depth = 0) {
  const schema = resolve(raw);
  if (schema.example !== undefined) return schema.example;
  if (schema.examples?.length) return schema.examples[0];
  if (schema.enum) return schema.enum[0];
  const some = alternatives(schema);
  if (some.length) return sample(some[0], depth);
  if (schema.properties && depth < 6) {
    return Object.fromEntries(Object.entries(schema.properties).map(([name, one]) => [name, sample(one, depth + 1)]));
  }
  const type = [schema.type].flat().find((one) => one !== "null");
  if (type === "array") return [sample(schema.items, depth + 1)];
  if (type === "integer" || type === "number") return schema.minimum ?? 0;
  if (type === "boolean") return true;
  if (type === "object") return {};
  return { uuid: "0b9f2c34-5a1f-4a57-9a43-2f6e6f0f6f01", "date-time": "2026-01-31T09:30:00Z" }[schema.format] ?? "text";
}

const requirementsOf = (operation) => operation.security ?? api.security ?? [];

/** Shows the roles that may call an operation: in OpenAPI, an empty requirement means public, and scopes are roles. */
function roles(operation) {
  const requirements = requirementsOf(operation);
  const named = requirements.flatMap((one) => Object.values(one)).flat();
  const isPublic = !requirements.length || requirements.some((one) => !Object.keys(one).length);
  if (isPublic) return named.length ? `public, more for ${named.join(", ")}` : "public";
  const headers = secretHeaders(operation).map((scheme) => scheme.name);
  return named.join(" or ") || headers.join(" or ") || "any token";
}

/** The schemes of an operation whose secret is a header, such as `X-Webhook-Secret`. */
const secretHeaders = (operation) =>
  requirementsOf(operation).flatMap((one) => Object.keys(one)).map((name) => api.components.securitySchemes[name])
    .filter((scheme) => scheme.type === "apiKey" && scheme.in === "header");

/** The parameters of an operation, and the headers in which it wants a secret. */
function inputsOf(operation) {
  const parameters = (operation.parameters ?? []).map(resolve);
  const secrets = secretHeaders(operation).filter(({ name }) => !parameters.some((one) => one.name === name));
  return [
    ...secrets.map(({ name, description }) =>
      ({ name, in: "header", required: true, description, schema: { type: "string" }, isSecret: true })),
    ...parameters,
  ];
}

/** Explains the words that stand beside the operations. */
function roleList() {
  const rows = [
    { name: "public", description: "Needs no token." },
    { name: "any token", description: "A token of any role." },
    ...(api.components.securitySchemes.bearer["x-roles"] ?? []),
    ...Object.values(api.components.securitySchemes).filter((scheme) => scheme.type === "apiKey"),
  ];
  return make("details", { className: "roles", id: "roles" },
    make("summary", {}, "Who may call: the roles"),
    make("p", {}, "A pill beside each operation names the least role that may call it. A member's token of a higher role may too: ",
      make("code", {}, "account_user"), " includes ", make("code", {}, "support_user"), ", and both include ",
      make("code", {}, "user"), ". Sign up or log in below, and press “Use this token” in the answer."),
    make("dl", {}, rows.flatMap(({ name, description }) => [make("dt", {}, name), make("dd", {}, prose(description))])));
}

function parameterTable(parameters) {
  const inputs = [];
  const rows = parameters.map((raw) => {
    const parameter = resolve(raw);
    const schema = resolve(parameter.schema);
    const input = make("input", {
      "aria-label": parameter.name, placeholder: parameter.required ? "required" : "", spellcheck: false, autocomplete: "off",
      type: parameter.isSecret ? "password" : "text", ...(parameter.isSecret && { "data-secret": "" }),
      value: parameter.isSecret ? kept.get(parameter.name) : parameter.required ? parameter.example ?? schema.example ?? "" : "",
    });
    if (!parameter.required && parameter.example !== undefined) input.placeholder = `for example ${parameter.example}`;
    if (parameter.isSecret) input.addEventListener("input", () => kept.set(parameter.name, input.value.trim()));
    inputs.push({ parameter, input });
    return make("tr", {},
      make("td", {}, make("span", { className: "name" }, parameter.name)),
      make("td", {}, parameter.in),
      make("td", {}, make("span", { className: "type" }, typeOf(schema)), prose(parameter.description), limits(schema)),
      make("td", {}, input));
  });
  const head = ["Name", "In", "What", "Value"].map((name) => make("th", { scope: "col" }, name));
  const table = rows.length
    ? make("table", {}, make("thead", {}, make("tr", {}, head)), make("tbody", {}, rows)) : null;
  return { table, inputs };
}

function bodyEditor(requestBody) {
  const content = Object.entries(resolve(requestBody).content ?? {});
  if (!content.length) return { parts: [], read: () => ({}) };
  const kinds = make("select", { "aria-label": "Content type" }, content.map(([kind]) => make("option", {}, kind)));
  const text = make("textarea", { "aria-label": "Request body", spellcheck: false });
  const file = make("input", { type: "file", "aria-label": "File", hidden: true });
  const tree = make("div");
  const isForm = () => kinds.value.startsWith("multipart/");
  const show = () => {
    const media = content.find(([kind]) => kind === kinds.value)[1];
    text.hidden = isForm();
    file.hidden = !isForm();
    const body = isForm() ? undefined : example(media);
    text.value = body === undefined ? "" : typeof body === "string" ? body : pretty(body);
    text.rows = Math.min(text.value.split("\n").length + 1, 24);
    tree.replaceChildren(...schemaTree(media.schema));
  };
  kinds.addEventListener("change", show);
  show();
  const read = () => {
    if (!isForm()) return { body: text.value, kind: kinds.value };
    const form = new FormData();
    if (file.files[0]) form.append("file", file.files[0]);
    return { body: form };
  };
  const chooser = content.length > 1 ? make("div", { className: "row" }, kinds) : null;
  return { parts: [make("h3", {}, "Request body"), chooser, tree, text, file].filter(Boolean), read };
}

/** The place and the name of an operation, by its `operationId`. */
function operationCalled(id) {
  for (const [path, item] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(item)) if (operation.operationId === id) return { method, path };
  }
  return null;
}

/** Shows the operations to which a response leads, with the values that they take from it. */
function nextCalls(links) {
  const rows = Object.values(links ?? {}).flatMap((link) => {
    const target = operationCalled(link.operationId);
    if (!target) return [];
    const name = make("a", { href: `#${target.method}-${target.path}` },
      make("span", { className: `method ${target.method}` }, target.method), " ", make("span", { className: "path" }, target.path));
    return [make("li", {}, name, " ", make("span", { className: "soft" }, prose(link.description)))];
  });
  return rows.length ? [make("h4", {}, "Next calls"), make("ul", { className: "next" }, rows)] : [];
}

function responseList(responses) {
  // Of several successes, the first call has the highest status: 201, and 200 for its repetition.
  const shownFirst = Object.keys(responses).filter((status) => status < 300).at(-1);
  return Object.entries(responses).map(([status, raw]) => {
    const response = resolve(raw);
    const parts = Object.entries(response.content ?? {}).flatMap(([kind, media]) => {
      const shown = example(media);
      const tree = schemaTree(media["x-events"] ?? media.schema);
      return [
        make("div", { className: "soft" }, kind),
        shown === undefined ? null
          : make("pre", { className: "example", tabIndex: 0 }, typeof shown === "string" ? shown : pretty(shown)),
        tree.length ? make("details", {}, make("summary", { className: "soft" }, "fields"), tree) : null,
      ];
    });
    const headers = Object.keys(response.headers ?? {});
    return make("details", { className: "response", open: status === shownFirst },
      make("summary", {},
        make("span", { className: `status ${status < 400 ? "good" : "bad"}` }, status), prose(response.description)),
      headers.length ? make("div", { className: "soft" }, `Headers: ${headers.join(", ")}`) : null,
      parts, nextCalls(response.links));
  });
}

const quoted = (text) => `'${text.replace(/'/g, "'\\''")}'`;

function curl(method, url, headers, body) {
  const said = Object.entries(headers).map(([name, value]) => {
    // The command may be kept in a shell's history, so it contains neither the token nor the secret.
    const isSecret = name.toLowerCase() === "x-webhook-secret";
    const shown = name === "authorization" ? "\"authorization: Bearer $TOKEN\""
      : isSecret ? `"${name}: $WEBHOOK_SECRET"` : quoted(`${name}: ${value}`);
    return ` -H ${shown}`;
  });
  const data = typeof body === "string" ? ` -d ${quoted(body)}` : body ? " -F file=@document.pdf" : "";
  return `curl -X ${method.toUpperCase()} ${quoted(url.href)}${said.join("")}${data}`;
}

/** Creates the form of an operation, which sends a request with the values of its fields and shows the response. */
function tryForm(method, path, inputs, read) {
  const button = make("button", { type: "submit", className: "send" }, "Try it");
  const note = make("span", { className: "soft", role: "status" });
  const answer = make("div", { className: "answer" });
  const send = async () => {
    const values = (place) => inputs.filter(({ parameter, input }) => parameter.in === place && input.value !== "");
    const missing = inputs.find(({ parameter, input }) => parameter.required && !input.value);
    if (missing) {
      note.textContent = `${missing.parameter.name} is missing`;
      return missing.input.focus();
    }
    const target = values("path").reduce(
      (at, { parameter, input }) => at.replace(`{${parameter.name}}`, encodeURIComponent(input.value)), path);
    const url = new URL(target, location.origin);
    for (const { parameter, input } of values("query")) url.searchParams.set(parameter.name, input.value);
    const headers = Object.fromEntries(values("header").map(({ parameter, input }) => [parameter.name, input.value]));
    const token = kept.get("token");
    if (token) headers.authorization = `Bearer ${token}`;
    const { body, kind } = read();
    if (kind) headers["content-type"] = kind;
    const command = make("details", {},
      make("summary", { className: "soft" }, "as curl"), make("pre", { tabIndex: 0 }, curl(method, url, headers, body)));
    const started = performance.now();
    note.textContent = "…";
    try {
      const response = await fetch(url, { method, headers, body, credentials: "omit", cache: "no-store" });
      const text = await response.text();
      const took = Math.round(performance.now() - started);
      note.textContent = "";
      answer.replaceChildren(...shown(response, text, took), command);
    } catch (error) {
      note.textContent = "";
      answer.replaceChildren(make("p", { className: "bad", role: "alert" }, `No answer: ${error.message}`), command);
    }
  };
  const form = make("form", {}, make("div", { className: "row" }, button, note), answer);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    await send();
    button.disabled = false;
  });
  return form;
}

function shown(response, text, took) {
  let value;
  try { value = JSON.parse(text); } catch { /* not JSON: shown as text */ }
  const headers = [...response.headers].map(([name, content]) => `${name}: ${content}`).join("\n");
  const found = value?.data?.access_token;
  const use = found ? make("button", { type: "button" }, "Use this token") : null;
  use?.addEventListener("click", () => {
    useToken(found);
    use.textContent = "In use";
  });
  return [
    make("div", { className: "row", role: "status" },
      make("span", { className: `status ${response.ok ? "good" : "bad"}` }, `${response.status} ${response.statusText}`),
      make("span", { className: "soft" }, `${took} ms`), use),
    make("pre", { className: "headers", tabIndex: 0 }, headers),
    text ? make("pre", { className: "body", tabIndex: 0 }, value === undefined ? text : pretty(value)) : null,
  ].filter(Boolean);
}

function operationCard(method, path, operation) {
  const id = `${method}-${path}`;
  const card = make("details", { className: "operation", id },
    make("summary", {},
      make("span", { className: `method ${method}` }, method),
      make("span", { className: "path" }, path),
      make("span", { className: "soft" }, prose(operation.summary)),
      make("span", { className: "role" }, roles(operation))));
  card.words = [method, path, operation.summary, operation.description, operation.tags?.[0], roles(operation)].join(" ").toLowerCase();
  // The content is created when the card is opened, because most cards never are.
  card.addEventListener("toggle", () => {
    if (!card.open || card.querySelector(".inside")) return;
    const { table, inputs } = parameterTable(inputsOf(operation));
    const { parts, read } = bodyEditor(operation.requestBody);
    const heading = table ? make("h3", {}, "Parameters") : null;
    card.append(make("div", { className: "inside" },
      paragraphs(operation.description),
      heading, table, parts, tryForm(method, path, inputs, read),
      make("h3", {}, "Answers"), responseList(operation.responses)));
  });
  return card;
}

function render() {
  find("version").textContent = api.info.version;
  const tags = new Map((api.tags ?? []).map((tag) => [tag.name, { tag, cards: [], links: [] }]));
  for (const [path, item] of Object.entries(api.paths)) {
    for (const method of ["get", "post", "put", "patch", "delete"].filter((one) => item[one])) {
      const operation = item[method];
      const name = operation.tags?.[0] ?? "other";
      if (!tags.has(name)) tags.set(name, { tag: { name }, cards: [], links: [] });
      tags.get(name).cards.push(operationCard(method, path, operation));
      tags.get(name).links.push(make("a", { href: `#${method}-${path}` },
        make("span", { className: `method ${method}` }, method), make("span", { className: "path" }, breakable(path.replace(/^\/api\/v1/, "")))));
    }
  }
  const used = [...tags.values()].filter(({ cards }) => cards.length);
  document.querySelector("nav").replaceChildren(
    ...used.map(({ tag, links }) => make("div", {}, make("h2", {}, tag.name), links)));
  find("operations").replaceChildren(
    make("p", {}, prose(api.info.description), " The document behind this page: ",
      make("a", { href: "openapi.json" }, "openapi.json"), "."),
    roleList(),
    make("p", { id: "nothing-found", className: "soft", hidden: true }, "No operation has this word."),
    ...used.map(({ tag, cards }) =>
      make("section", { "aria-label": tag.name }, make("h2", {}, tag.name), make("p", {}, prose(tag.description)), cards)));
}

/** Opens the operation that the URL's fragment names, for example /docs#get-/health. */
function openNamed() {
  const card = find(decodeURIComponent(location.hash.slice(1)));
  if (!card?.classList.contains("operation")) return;
  if (card.hidden) filter(find("filter").value = "");
  card.open = true;
  card.scrollIntoView();
  card.querySelector("summary").focus({ preventScroll: true });
}

/** Shows the operations whose line, tag or description has every word of the text, in the page and in its list. */
function filter(text) {
  const wanted = text.trim().toLowerCase().split(/\s+/);
  let count = 0;
  for (const section of document.querySelectorAll("section")) {
    const cards = [...section.querySelectorAll(".operation")];
    for (const card of cards) {
      card.hidden = !wanted.every((word) => card.words.includes(word));
      count += !card.hidden;
    }
    section.hidden = cards.every((card) => card.hidden);
  }
  for (const group of document.querySelectorAll("nav > div")) {
    const links = [...group.querySelectorAll("a")];
    for (const link of links) link.hidden = find(decodeURIComponent(link.hash.slice(1))).hidden;
    group.hidden = links.every((link) => link.hidden);
  }
  find("nothing-found").hidden = count > 0;
  find("count").textContent = text.trim() ? `${count} found` : "";
}

function theme(isDark) {
  document.documentElement.classList.toggle("dark", isDark);
  find("theme").setAttribute("aria-pressed", isDark);
}

theme(matchMedia("(prefers-color-scheme: dark)").matches);
find("theme").addEventListener("click", () => theme(!document.documentElement.classList.contains("dark")));
find("token").addEventListener("input", (event) => useToken(event.target.value.trim()));
find("forget").addEventListener("click", forget);
useToken(kept.get("token"));
find("filter").addEventListener("input", (event) => filter(event.target.value));
addEventListener("hashchange", openNamed);
addEventListener("keydown", (event) => {
  if (event.key === "/" && !/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName)) {
    event.preventDefault();
    find("filter").focus();
  }
});
fetch("openapi.json").then(async (response) => {
  if (!response.ok) throw new Error(`the answer was ${response.status}`);
  api = await response.json();
  render();
  openNamed();
}).catch((error) => { find("loading").textContent = `openapi.json could not be loaded: ${error.message}`; });
