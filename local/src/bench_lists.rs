//! `cargo bench-lists`: measures lists, figures and the changes feed over HTTP, for a company with a million rows beside
//! one with ten, on an optimised stack.

mod data;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, value_parser};
use reqwest::Client;
use serde_json::{Value, json};
use shared::settings::SettingsMap;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use self::data::TenantRows;
use crate::{
    bench::{
        self,
        figures::{Sample, table},
    },
    bench_stack::{BenchServers, BenchTenant},
};

/// Rows of a page.
const LIMIT: usize = 20;
/// The page that a cursor leads to, from 1.
const DEEP_PAGE: usize = 1_000;
/// Rows before the second page of the small company's lists.
const SMALL_FIRST_PAGE: usize = 5;
/// Requests of each kind that are not counted. PostgreSQL plans a prepared statement anew five times.
const WARM_UP_ROUNDS: usize = 10;
/// The time limit of one request, which no function has so long.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(40);
/// A name that no order has, so that the search reads every order.
const UNKNOWN_NAME: &str = "Zzyzx";

/// The aim of a list's p95.
const LIST_MS: f64 = 30.0;
/// The aim of the dashboard's p95.
const DASHBOARD_MS: f64 = 30.0;
/// The aim of the changes feed's p95.
const CHANGES_MS: f64 = 10.0;

/// Measures lists, figures and the changes feed of a large and a small company over HTTP. Prints Markdown.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Orders of the large company.
    #[arg(long, default_value_t = 100_000, value_parser = value_parser!(u32).range(25_000..=5_000_000))]
    orders: u32,
    /// Messages of the large company, in conversations of 40.
    #[arg(long, default_value_t = 1_000_000, value_parser = value_parser!(u32).range(1_000_000..=20_000_000))]
    messages: u32,
    /// Changes of the large company.
    #[arg(long, default_value_t = 1_000_000, value_parser = value_parser!(u32).range(1_000..=20_000_000))]
    changes: u32,
    /// Requests of each kind and company.
    #[arg(long, default_value_t = 300, value_parser = value_parser!(u32).range(20..=10_000))]
    rounds: u32,
    /// Fail when a p95 of the large company is over its aim.
    #[arg(long)]
    check: bool,
}

/// A company, and who asks for it.
struct Company {
    tenant: BenchTenant,
    /// Access token of a support user, whose reads are audited.
    support_token: String,
}

/// A measured request.
struct Measured {
    name: &'static str,
    /// The aim of the large company's p95 in milliseconds, if it has one.
    aim_ms: Option<f64>,
    /// True when the support user asks.
    by_support: bool,
    /// The status of the response.
    status: u16,
    /// Path and query for the large and for the small company.
    paths: [String; 2],
    /// Rows of the responses.
    rows: [usize; 2],
    times: [Sample; 2],
}

/// Fills the database, measures, and prints the table.
///
/// # Errors
/// Fails when the stack does not start or a request is not answered as expected, or with `--check` when a figure is over
/// its aim.
pub async fn run(arguments: Arguments) -> Result<()> {
    let servers = Box::pin(BenchServers::start()).await?;
    let database = servers.create_database("bench_lists").await?;
    let stack = Box::pin(servers.start_stack(&database, settings())).await?;
    let mut admin = PgConnection::connect(&database.admin).await?;
    let http = Client::builder().no_proxy().timeout(REQUEST_TIMEOUT).build()?;
    let caller = Caller { http, base_url: stack.base_url() };
    let large = TenantRows::large(arguments.orders, arguments.messages, arguments.changes);
    let mut companies = Vec::new();
    for (number, rows) in [large, TenantRows::SMALL].into_iter().enumerate() {
        let tenant = servers.sign_up(&stack, &mut admin, number).await?;
        let support_token = caller.sign_up_support(&mut admin, &tenant, number).await?;
        let started = Instant::now();
        data::fill(&mut admin, tenant.customer, &rows).await?;
        eprintln!("  {rows} written in {:.0} s", started.elapsed().as_secs_f64());
        companies.push(Company { tenant, support_token });
    }
    data::tidy(&mut admin).await?;
    let companies: [Company; 2] = companies.try_into().or(Err(anyhow::anyhow!("there are two companies")))?;
    let mut measured = requests(&caller, &mut admin, &companies).await?;
    caller.measure(&companies, &mut measured, arguments.rounds).await?;
    println!("{}\n", bench::machine()?);
    println!("Large company: {large}. Small company: {}. One request at a time.\n", TenantRows::SMALL);
    let missed = report(&measured);
    if arguments.check && !missed.is_empty() {
        bail!("over their aims: {}", missed.join(", "));
    }
    Ok(())
}

/// Settings of the stack: calls are counted, and the limits are not reached.
fn settings() -> SettingsMap {
    ["RATE_LIMIT_USER", "RATE_LIMIT_ADDRESS"].map(|name| (name.to_owned(), "10000000".to_owned())).into()
}

/// The client of the benchmark.
struct Caller {
    http: Client,
    base_url: String,
}

impl Caller {
    /// Returns the body of a response with this status.
    async fn get(&self, path: &str, token: &str, status: u16) -> Result<Vec<u8>> {
        let answer = self.http.get(format!("{}{path}", self.base_url)).bearer_auth(token).send().await?;
        let found = answer.status().as_u16();
        let body = answer.bytes().await?;
        ensure!(found == status, "{path}: {found}: {}", String::from_utf8_lossy(&body));
        Ok(body.into())
    }

    async fn get_json(&self, path: &str, token: &str) -> Result<Value> {
        Ok(serde_json::from_slice(&self.get(path, token, 200).await?)?)
    }

    /// Signs a support user of a company up, by an invitation.
    async fn sign_up_support(&self, admin: &mut PgConnection, tenant: &BenchTenant, number: usize) -> Result<String> {
        let invitation = Uuid::new_v4().simple().to_string();
        let invite = "insert into invitations (customer_id, token_sha256, expires_at)
            values ($1, sha256(convert_to($2, 'UTF8')), now() + interval '1 hour')";
        sqlx::query(invite).bind(tenant.customer).bind(&invitation).execute(admin).await?;
        let body = json!({
            "email": format!("bench-support-{number}@example.com"), "password": Uuid::new_v4().to_string(),
            "invitation": invitation,
        });
        let answer = self.http.post(format!("{}/api/v1/auth/signup", self.base_url)).json(&body).send().await?;
        let answer: Value = answer.error_for_status()?.json().await?;
        Ok(answer["data"]["access_token"].as_str().context("sign-up gave no token")?.to_owned())
    }

    /// Follows the cursor of a list and returns the path of the page after `pages` pages of `limit` rows.
    async fn path_of_page(&self, list: &str, token: &str, pages: usize, limit: usize) -> Result<String> {
        let separator = if list.contains('?') { '&' } else { '?' };
        let mut cursor = String::new();
        for page in 0..pages {
            let body = self.get_json(&format!("{list}{separator}limit={limit}{cursor}"), token).await?;
            let next = body["meta"]["next_cursor"].as_str();
            cursor = format!("&cursor={}", next.with_context(|| format!("{list} ends after page {}", page + 1))?);
        }
        Ok(format!("{list}{separator}limit={LIMIT}{cursor}"))
    }

    /// Sends all requests in turns, so that a disturbance of the machine shows in all of them.
    async fn measure(&self, companies: &[Company; 2], measured: &mut [Measured], rounds: u32) -> Result<()> {
        for round in 0..WARM_UP_ROUNDS + usize::try_from(rounds)? {
            for request in &mut *measured {
                for (place, company) in companies.iter().enumerate() {
                    let token = if request.by_support { &company.support_token } else { &company.tenant.token };
                    let started = Instant::now();
                    let body = self.get(&request.paths[place], token, request.status).await?;
                    let took_ms = started.elapsed().as_secs_f64() * 1e3;
                    if round < WARM_UP_ROUNDS {
                        request.rows[place] = count_rows(&body);
                    } else {
                        request.times[place].add(took_ms);
                    }
                }
            }
        }
        Ok(())
    }
}

/// Counts the rows of a list or of the feed, or the days of the figures.
fn count_rows(body: &[u8]) -> usize {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let data = &body["data"];
    data.as_array().or_else(|| data["days"].as_array()).map_or(0, Vec::len)
}

impl Measured {
    fn new(name: &'static str, aim_ms: Option<f64>, paths: [String; 2]) -> Self {
        Self { name, aim_ms, by_support: false, status: 200, paths, rows: [0; 2], times: Default::default() }
    }

    /// A request that is equal for both companies.
    fn of_both(name: &'static str, aim_ms: Option<f64>, path: &str) -> Self {
        Self::new(name, aim_ms, [path.to_owned(), path.to_owned()])
    }

    fn by_support(self) -> Self {
        Self { by_support: true, ..self }
    }

    fn refused(self) -> Self {
        Self { status: 422, ..self }
    }
}

/// Makes the requests that are measured. Each list is asked for its first page and for the 1,000th.
async fn requests(caller: &Caller, admin: &mut PgConnection, companies: &[Company; 2]) -> Result<Vec<Measured>> {
    let mut measured = vec![
        Measured::of_both("gateway and function alone (`/health`)", None, "/health"),
        Measured::of_both("a list that is refused (422): sign-in and rate limit", None, "/api/v1/orders?limit=0")
            .refused(),
    ];
    for (first, deep, list) in [
        ("orders, first page", "orders, 1,000th page", "/api/v1/orders"),
        ("orders by total, first page", "orders by total, 1,000th page", "/api/v1/orders?sort=-total_amount"),
        ("messages, first page", "messages, 1,000th page", "/api/v1/messages"),
        ("conversations, first page", "conversations, 1,000th page", "/api/v1/conversations"),
        ("activities, first page", "activities, 1,000th page", "/api/v1/activities"),
    ] {
        let [large, small] = companies;
        measured.push(Measured::of_both(first, Some(LIST_MS), list));
        let paths = [
            caller.path_of_page(list, &large.tenant.token, DEEP_PAGE - 1, LIMIT).await?,
            caller.path_of_page(list, &small.tenant.token, 1, SMALL_FIRST_PAGE).await?,
        ];
        measured.push(Measured::new(deep, Some(LIST_MS), paths));
    }
    for (name, path) in [
        ("orders, first page, by a support user (audited)", "/api/v1/orders"),
        ("messages, first page, by a support user (audited)", "/api/v1/messages"),
    ] {
        measured.push(Measured::of_both(name, Some(LIST_MS), path).by_support());
    }
    measured.push(Measured::of_both(
        "orders of a status, first page",
        Some(LIST_MS),
        "/api/v1/orders?status=preparing",
    ));
    let search = format!("/api/v1/orders?search={UNKNOWN_NAME}");
    measured.push(Measured::of_both("orders, search for a name that nobody has", None, &search));
    measured.push(Measured::of_both("dashboard/stats, 30 days", Some(DASHBOARD_MS), "/api/v1/dashboard/stats"));
    let year = data::year(admin).await?;
    let path = format!("/api/v1/dashboard/stats?from={}&to={}", year.0, year.1);
    measured.push(Measured::of_both("dashboard/stats, 365 days", None, &path));
    measured.extend(feed(admin, companies).await?);
    Ok(measured)
}

/// Makes the requests of the changes feed: at its end, a hundred changes before it, and at its beginning.
async fn feed(admin: &mut PgConnection, companies: &[Company; 2]) -> Result<Vec<Measured>> {
    let mut ends = Vec::new();
    for company in companies {
        ends.push(data::cursors(admin, company.tenant.customer).await?);
    }
    let paths = |cursor: fn(&data::FeedCursors) -> &str| -> Result<[String; 2]> {
        let paths: Vec<_> = ends.iter().map(|ends| format!("/api/v1/changes?cursor={}", cursor(ends))).collect();
        paths.try_into().or(Err(anyhow::anyhow!("there are two companies")))
    };
    Ok(vec![
        Measured::new("changes, nothing new", Some(CHANGES_MS), paths(|ends| &ends.end)?),
        Measured::new("changes, 100 rows at the end", Some(CHANGES_MS), paths(|ends| &ends.before_last)?),
        Measured::of_both("changes, 100 rows from the beginning", Some(CHANGES_MS), "/api/v1/changes"),
    ])
}

/// Prints the table. Returns the names of the figures that are over their aims.
fn report(measured: &[Measured]) -> Vec<&'static str> {
    let rows: Vec<Vec<String>> = measured.iter().map(cells).collect();
    let heads =
        ["request", "count", "rows", "median ms", "p95 ms", "aim p95", "rows (small)", "median (small)", "p95 (small)"];
    table(&heads, &rows);
    let is_missed =
        |request: &&Measured| request.aim_ms.is_some_and(|aim_ms| request.times[0].percentile(95) >= aim_ms);
    measured.iter().filter(is_missed).map(|request| request.name).collect()
}

fn cells(request: &Measured) -> Vec<String> {
    let time = |place: usize, percent| format!("{:.2}", request.times[place].percentile(percent));
    vec![
        request.name.to_owned(),
        request.times[0].count().to_string(),
        request.rows[0].to_string(),
        time(0, 50),
        time(0, 95),
        request.aim_ms.map_or_else(|| "–".to_owned(), |aim_ms| format!("< {aim_ms:.0}")),
        request.rows[1].to_string(),
        time(1, 50),
        time(1, 95),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(times_ms: [f64; 2], aim_ms: Option<f64>) -> Measured {
        let mut measured = Measured::of_both("orders", aim_ms, "/api/v1/orders");
        for (sample, time_ms) in measured.times.iter_mut().zip(times_ms) {
            sample.add(time_ms);
        }
        Measured { rows: [20, 10], ..measured }
    }

    #[test]
    fn the_large_company_alone_is_held_to_the_aim() {
        assert_eq!(report(&[measured([29.9, 40.0], Some(30.0)), measured([31.0, 1.0], None)]), [""; 0]);
        assert_eq!(report(&[measured([30.0, 1.0], Some(30.0))]), ["orders"]);
    }

    #[test]
    fn a_row_shows_both_companies() {
        let cells = cells(&measured([12.345, 1.5], Some(30.0)));
        assert_eq!(cells, ["orders", "1", "20", "12.35", "12.35", "< 30", "10", "1.50", "1.50"]);
    }

    #[test]
    fn rows_are_counted_in_lists_and_figures() {
        for (body, rows) in [(r#"{"data":[1,2]}"#, 2), (r#"{"data":{"days":[1,2,3]}}"#, 3), (r#"{"data":{}}"#, 0)] {
            assert_eq!(count_rows(body.as_bytes()), rows);
        }
    }
}
