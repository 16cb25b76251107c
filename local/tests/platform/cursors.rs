//! The cursors of lists under concurrent writers: each row that is there all the time comes exactly once.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde::Serialize;
use serde_json::{Value, json};
use shared::{
    activities::{self, ActivityFilter, ActivityListing},
    conversations::{self, ConversationFilter, ConversationListing},
    db::Db,
    error::ApiError,
    messages::{self, MessageFilter, MessageListing},
    orders::{self, OrderFilter, OrderListing},
    paging::{List, ListParams, Listing, Paging},
    products::{self, ProductFilter, ProductListing},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{route::DatabaseRoute, seed};

/// Rows of each list before a walk begins.
const ROWS: i32 = 120;

/// A list, in one order.
#[derive(Debug, Clone, Copy)]
enum Walk {
    Orders(&'static str),
    Products(&'static str),
    Activities(&'static str),
    Messages(&'static str),
    Conversations(&'static str),
}

impl Walk {
    /// Every list that people page through while it changes, in each of its orders.
    const ALL: [Self; 16] = [
        Self::Orders("created_at"),
        Self::Orders("-created_at"),
        Self::Orders("total_amount"),
        Self::Orders("-total_amount"),
        Self::Orders("updated_at"),
        Self::Orders("-updated_at"),
        Self::Products("created_at"),
        Self::Products("-created_at"),
        Self::Products("name"),
        Self::Products("-name"),
        Self::Activities("created_at"),
        Self::Activities("-created_at"),
        Self::Messages("created_at"),
        Self::Messages("-created_at"),
        Self::Conversations("last_message_at"),
        Self::Conversations("-last_message_at"),
    ];

    /// Reads one page.
    async fn page(self, db: &Db, tenant: Uuid, limit: i32, cursor: Option<&str>) -> Value {
        db.tenant_tx(tenant, async |tx| match self {
            Self::Orders(sort) => {
                let paging = paging::<OrderListing>(sort, limit, cursor);
                orders::list(tx, &OrderFilter::default(), &paging).await.map(shown)
            }
            Self::Products(sort) => {
                let paging = paging::<ProductListing>(sort, limit, cursor);
                products::list(tx, &ProductFilter::default(), &paging).await.map(shown)
            }
            Self::Activities(sort) => {
                let paging = paging::<ActivityListing>(sort, limit, cursor);
                activities::list(tx, &ActivityFilter::default(), &paging).await.map(shown)
            }
            Self::Messages(sort) => {
                let paging = paging::<MessageListing>(sort, limit, cursor);
                messages::list(tx, Uuid::nil(), &MessageFilter::default(), &paging).await.map(shown)
            }
            Self::Conversations(sort) => {
                let paging = paging::<ConversationListing>(sort, limit, cursor);
                conversations::list(tx, &ConversationFilter::default(), &paging).await.map(shown)
            }
        })
        .await
        .map_err(|error: ApiError| format!("{self:?}: {error}"))
        .unwrap()
    }

    /// The ids of the list's rows that no writer touches.
    const fn untouched(self) -> &'static str {
        match self {
            Self::Orders(_) => "select id from orders where customer_name like 'kept %'",
            Self::Products(_) => "select id from products where name like 'kept %'",
            Self::Activities(_) => "select id from activities where title like 'kept %'",
            Self::Messages(_) => "select id from messages where content like 'kept %'",
            Self::Conversations(_) => "select id from conversations where display_name like 'kept %'",
        }
    }
}

fn paging<L: Listing>(sort: &str, limit: i32, cursor: Option<&str>) -> Paging {
    let params = json!({ "sort": sort, "limit": limit, "cursor": cursor });
    serde_json::from_value::<ListParams>(params).unwrap().validate::<L>().unwrap()
}

fn shown<T: Serialize>(list: List<T>) -> Value {
    serde_json::to_value(list).unwrap()
}

/// Writes rows that stay as they are (`kept`), and rows that change (`moved`). Many have one time or one amount, so that
/// the id alone tells them apart.
async fn fill(admin: &mut PgConnection, tenant: Uuid) {
    for statement in [
        "insert into orders (company_id, customer_name, total_amount, currency, items, created_at, updated_at)
         select $1, case when n % 3 = 0 then 'moved ' else 'kept ' end || n, n % 7, 'XOF', '[]', at, at
         from generate_series(1, $2) n, lateral (select now() - interval '1 day' * (n / 10) as at) t",
        "insert into products (customer_id, name, price, currency, created_at)
         select $1, case when n % 3 = 0 then 'moved ' else 'kept ' end || n, 5, 'XOF', now() - interval '1 day' * (n / 10)
         from generate_series(1, $2) n",
        "insert into activities (company_id, type, title, created_at)
         select $1, 'test', 'kept ' || n, now() - interval '1 day' * (n / 10) from generate_series(1, $2) n",
        "insert into conversations (customer_id, contact_id, display_name, last_message_at)
         select $1, n::text, case when n % 3 = 0 then 'moved ' else 'kept ' end || n, now() - interval '1 day' * (n / 10)
         from generate_series(1, $2) n",
        "insert into messages (customer_id, conversation_id, direction, author, content, created_at)
         select $1, id, 'inbound', 'contact', case when n % 3 = 0 then 'moved ' else 'kept ' end || n,
             now() - interval '1 day' * (n / 10)
         from generate_series(1, $2) n join conversations on customer_id = $1 and contact_id = n::text",
    ] {
        sqlx::query(statement).bind(tenant).bind(ROWS).execute(&mut *admin).await.unwrap();
    }
}

/// Statements of the writers: rows come in at any place, move to another, change and go.
const WRITES: [&str; 12] = [
    "insert into orders (company_id, customer_name, total_amount, currency, items, created_at)
     values ($1, 'moved', $2 % 7, 'XOF', '[]', now() - interval '1 hour' * $2)",
    "update orders set updated_at = clock_timestamp(), total_amount = $2 % 9
     where id = (select id from orders where company_id = $1 and customer_name like 'moved%' order by random() limit 1)",
    "delete from orders
     where id = (select id from orders where company_id = $1 and customer_name like 'moved%' order by random() limit 1)
       and $2 % 4 = 0",
    "insert into products (customer_id, name, price, currency, created_at)
     values ($1, 'moved ' || gen_random_uuid(), 1, 'XOF', now() - interval '1 hour' * $2)",
    "update products set name = 'moved ' || gen_random_uuid(), price = $2
     where id = (select id from products where customer_id = $1 and name like 'moved%' order by random() limit 1)",
    "delete from products
     where id = (select id from products where customer_id = $1 and name like 'moved%' order by random() limit 1)
       and $2 % 4 = 0",
    "insert into activities (company_id, type, title, created_at)
     values ($1, 'test', 'new', now() - interval '1 hour' * $2)",
    "update activities set status = 'warning'
     where id = (select id from activities where company_id = $1 order by random() limit 1) and $2 > 0",
    "insert into messages (customer_id, conversation_id, direction, author, content, created_at)
     select $1, id, 'inbound', 'contact', 'moved', now() - interval '1 hour' * $2
     from conversations where customer_id = $1 order by random() limit 1",
    "update messages set skipped_reason = 'courtesy'
     where id = (select id from messages where customer_id = $1 order by random() limit 1) and $2 > 0",
    "update conversations set last_message_at = clock_timestamp() - interval '1 hour' * $2
     where id = (
         select id from conversations where customer_id = $1 and display_name like 'moved%' order by random() limit 1
     )",
    "update conversations set handler = 'human', handover_until = now() + interval '1 hour'
     where id = (select id from conversations where customer_id = $1 order by random() limit 1) and $2 > 0",
];

/// Writes at random until `is_done`.
async fn write(route: &DatabaseRoute, tenant: Uuid, seed: u64, is_done: &AtomicBool) -> usize {
    let (mut admin, mut random, mut written) = (route.admin().await, StdRng::seed_from_u64(seed), 0);
    while !is_done.load(Ordering::SeqCst) {
        let statement = WRITES[random.random_range(0..WRITES.len())];
        let hours = random.random_range(1..300_i32);
        sqlx::query(statement).bind(tenant).bind(hours).execute(&mut admin).await.unwrap();
        written += 1;
    }
    written
}

/// Follows a list's cursor to its end, with pages of random length. Returns the ids in their order.
async fn follow(db: &Db, tenant: Uuid, walk: Walk, random: &mut StdRng) -> Vec<Uuid> {
    let (mut seen, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let page = walk.page(db, tenant, random.random_range(1..=9), cursor.as_deref()).await;
        seen.extend(
            page["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().parse::<Uuid>().unwrap()),
        );
        match page["meta"]["next_cursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return seen,
        }
    }
}

#[tokio::test]
async fn a_walk_by_cursor_has_each_row_that_stays_exactly_once_while_others_come_move_and_go() {
    let route = DatabaseRoute::direct().await;
    let mut admin = route.admin().await;
    let tenant = seed::tenant(&mut admin, "mine", 8).await.customer;
    fill(&mut admin, tenant).await;
    let (db, is_done) = (route.db(2), AtomicBool::new(false));
    let walks = async {
        let mut random = StdRng::seed_from_u64(1_000);
        let mut walked = Vec::new();
        for walk in Walk::ALL {
            walked.push((walk, follow(&db, tenant, walk, &mut random).await));
        }
        is_done.store(true, Ordering::SeqCst);
        walked
    };
    let (walked, first, second) =
        tokio::join!(walks, write(&route, tenant, 1, &is_done), write(&route, tenant, 2, &is_done));
    assert!(first + second > 200, "{first} and {second}: the lists changed while they were read");
    for (walk, seen) in walked {
        let kept: BTreeSet<Uuid> =
            sqlx::query_scalar(walk.untouched()).fetch_all(&mut admin).await.unwrap().into_iter().collect();
        let passed: Vec<Uuid> = seen.iter().copied().filter(|id| kept.contains(id)).collect();
        assert_eq!(passed.len(), passed.iter().collect::<BTreeSet<_>>().len(), "{walk:?}: a row came twice");
        assert_eq!(passed.into_iter().collect::<BTreeSet<_>>(), kept, "{walk:?}");
        assert!(kept.len() >= 80 && seen.len() > kept.len() - 1, "{walk:?}");
        if let Walk::Orders("created_at" | "-created_at")
        | Walk::Products("created_at" | "-created_at")
        | Walk::Messages(_)
        | Walk::Activities(_) = walk
        {
            // These columns never change, so that no row at all comes twice.
            assert_eq!(seen.len(), seen.iter().collect::<BTreeSet<_>>().len(), "{walk:?}: a row came twice");
        }
    }
}
