//! Lists: `page` and `limit`, or a `cursor` that walks every row exactly once while rows come in.

use axum::response::{IntoResponse, Response};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::{IntoParams, ToSchema};

use crate::error::{ApiError, FieldError};

/// Counting stops here: an exact count of a large list costs more than the page.
pub const COUNTED_EXACTLY: i64 = 10_000;
const DEFAULT_LIMIT: i64 = 20;
const MAX_LIMIT: i64 = 100;
/// Deeper pages cost the skipping of all rows before them; a cursor does not.
const MAX_SKIPPED: i64 = 100_000;
const NOT_A_CURSOR: &str = "is not a cursor of this list and order";

/// The parameters that every list takes.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListParams {
    /// From 1; not together with `cursor`.
    #[param(minimum = 1, default = 1)]
    page: Option<i64>,
    /// Rows a page.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<i64>,
    /// A column of the list, `-` before it for descending.
    sort: Option<String>,
    /// Only rows in this state.
    status: Option<String>,
    /// `meta.next_cursor` of the page before.
    cursor: Option<String>,
}

/// What a list may be sorted and filtered by.
pub trait Listing {
    /// The columns, as the parameter `sort` names them; the first, descending, is the default.
    const SORTS: &'static [&'static str];
    /// Which of them `created_at` means, the name that all lists know.
    const CREATED_AT: &'static str = "created_at";
    /// The values of the parameter `status`; empty where the list has none.
    const STATUSES: &'static [&'static str];
}

/// Validated parameters.
#[derive(Debug, Clone)]
pub struct Paging {
    /// Rows a page.
    pub limit: i64,
    /// Rows before the page; fewer where that is too deep.
    pub offset: i64,
    /// The column, one of the listing's.
    pub sort: &'static str,
    /// Whether it descends.
    pub descending: bool,
    /// One of the listing's states.
    pub status: Option<&'static str>,
    page: Option<i64>,
    is_too_deep: bool,
    cursor: Option<Cursor>,
}

/// The last row of a page: the value it is sorted by, and its id.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Cursor {
    /// The sort it belongs to: a cursor of another order would skip rows.
    sort: String,
    last: serde_json::Value,
}

impl ListParams {
    /// Validates them for a listing.
    ///
    /// # Errors
    /// 422 with every parameter that is wrong.
    pub fn of<L: Listing>(self) -> Result<Paging, ApiError> {
        let mut wrong = Vec::new();
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            wrong.push(FieldError::new("limit", format!("must be between 1 and {MAX_LIMIT}")));
        }
        let page = self.page.unwrap_or(1);
        let offset = page.saturating_sub(1).saturating_mul(limit);
        if page < 1 {
            wrong.push(FieldError::new("page", "must be 1 or more"));
        }
        let (name, descending) = match self.sort.as_deref() {
            None => (L::SORTS[0], true),
            Some(sort) => sort.strip_prefix('-').map_or((sort, false), |name| (name, true)),
        };
        let name = if name == "created_at" { L::CREATED_AT } else { name };
        let sort = L::SORTS.iter().copied().find(|column| *column == name).unwrap_or_else(|| {
            wrong.push(FieldError::new("sort", format!("must be one of {}", L::SORTS.join(", "))));
            L::SORTS[0]
        });
        let status = self.status.as_deref().and_then(|wanted| {
            let known = L::STATUSES.iter().copied().find(|status| *status == wanted);
            if known.is_none() {
                let message = match L::STATUSES {
                    [] => "is not something that this list is filtered by".to_owned(),
                    statuses => format!("must be one of {}", statuses.join(", ")),
                };
                wrong.push(FieldError::new("status", message));
            }
            known
        });
        let cursor = self.cursor.as_deref().and_then(|text| {
            let cursor = Cursor::decode(text).filter(|cursor| cursor.sort == sort_key(sort, descending));
            if cursor.is_none() {
                wrong.push(FieldError::new("cursor", NOT_A_CURSOR));
            }
            cursor
        });
        if cursor.is_some() && self.page.is_some() {
            wrong.push(FieldError::new("page", "cannot be used together with cursor"));
        }
        if !wrong.is_empty() {
            return Err(ApiError::validation(wrong));
        }
        let page = cursor.is_none().then_some(page);
        let (offset, is_too_deep) = match page {
            Some(_) => (offset.min(MAX_SKIPPED), offset > MAX_SKIPPED),
            None => (0, false),
        };
        Ok(Paging { limit, offset, sort, descending, status, page, is_too_deep, cursor })
    }
}

impl Paging {
    /// Where the page before ended: the sort value and the id of its last row.
    ///
    /// # Errors
    /// 422 when the cursor was tampered with.
    pub fn after<T: DeserializeOwned>(&self) -> Result<Option<T>, ApiError> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        serde_json::from_value(cursor.last.clone()).map(Some).or(Err(not_a_cursor()))
    }

    /// The error of a listing's query. What a cursor holds is checked for its type alone; where the database refuses the
    /// value itself (NUL, a time before all times), somebody made it up.
    #[must_use]
    pub fn failed(&self, error: sqlx::Error) -> ApiError {
        // Class 22: data exception.
        let is_data =
            error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code.starts_with("22"));
        if is_data && self.cursor.is_some() { not_a_cursor() } else { error.into() }
    }

    /// The rows to ask the database for: one more than a page tells whether there is another.
    #[must_use]
    pub fn fetched(&self) -> i64 {
        self.limit + 1
    }

    /// Makes the page of what was fetched. `counted` stops past [`COUNTED_EXACTLY`]; `last` gives a row's place in the
    /// order.
    ///
    /// # Errors
    /// 422 for a page that is too deep in a list that goes so far; in a shorter one it is empty, as any beyond the end.
    pub fn page<T, K: Serialize>(
        &self,
        mut rows: Vec<T>,
        counted: i64,
        last: impl FnOnce(&T) -> K,
    ) -> Result<List<T>, ApiError> {
        if self.is_too_deep && !rows.is_empty() {
            return Err(ApiError::field("page", "is too deep: follow meta.next_cursor instead"));
        }
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = rows.last().filter(|_| has_more).and_then(|row| {
            let last = serde_json::to_value(last(row)).ok()?;
            Some(Cursor { sort: sort_key(self.sort, self.descending), last }.encode())
        });
        let total = counted.min(COUNTED_EXACTLY);
        let meta = Meta {
            page: self.page,
            limit: self.limit,
            total,
            total_pages: (total + self.limit - 1) / self.limit,
            total_is_estimate: (counted > COUNTED_EXACTLY).then_some(true),
            next_cursor,
        };
        Ok(List { success: true, data: rows, meta })
    }
}

fn not_a_cursor() -> ApiError {
    ApiError::field("cursor", NOT_A_CURSOR)
}

fn sort_key(sort: &str, descending: bool) -> String {
    format!("{}{sort}", if descending { "-" } else { "" })
}

impl Cursor {
    fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    fn decode(text: &str) -> Option<Self> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
    }
}

/// A page of a list, in the envelope.
#[derive(Debug, Serialize, ToSchema)]
pub struct List<T> {
    success: bool,
    data: Vec<T>,
    meta: Meta,
}

/// Where the page stands in its list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "page": 1, "limit": 20, "total": 1, "total_pages": 1, "next_cursor": null }))]
pub struct Meta {
    /// Absent when a cursor is followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<i64>,
    limit: i64,
    /// Exact up to 10,000.
    total: i64,
    total_pages: i64,
    /// Present and true when there are more than `total`.
    #[serde(skip_serializing_if = "Option::is_none")]
    total_is_estimate: Option<bool>,
    /// For the next page; null on the last one.
    next_cursor: Option<String>,
}

impl<T: Serialize> IntoResponse for List<T> {
    fn into_response(self) -> Response {
        axum::Json(self).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Orders;

    impl Listing for Orders {
        const SORTS: &'static [&'static str] = &["created_at", "name"];
        const STATUSES: &'static [&'static str] = &["open", "closed"];
    }

    fn params(pairs: &[(&str, &str)]) -> ListParams {
        let object: serde_json::Map<_, _> = pairs
            .iter()
            .map(|(name, value)| {
                let value = value.parse::<i64>().map_or_else(|_| (*value).into(), serde_json::Value::from);
                ((*name).to_owned(), value)
            })
            .collect();
        serde_json::from_value(object.into()).unwrap()
    }

    #[test]
    fn defaults_are_the_first_page_newest_first() {
        let paging = params(&[]).of::<Orders>().unwrap();
        assert_eq!((paging.limit, paging.offset, paging.sort, paging.descending), (20, 0, "created_at", true));
    }

    #[test]
    fn beyond_the_end_a_page_is_empty_and_too_deep_only_where_there_are_rows() {
        let paging = params(&[("page", "999999")]).of::<Orders>().unwrap();
        assert_eq!(paging.offset, MAX_SKIPPED);
        let list = paging.page(Vec::<i32>::new(), 3, |row| *row).unwrap();
        assert_eq!((list.data.len(), list.meta.page, list.meta.next_cursor), (0, Some(999_999), None));
        assert!(paging.page(vec![1], COUNTED_EXACTLY + 1, |row| *row).is_err());
    }

    #[test]
    fn all_lists_know_created_at() {
        struct Documents;
        impl Listing for Documents {
            const SORTS: &'static [&'static str] = &["upload_date", "filename"];
            const CREATED_AT: &'static str = "upload_date";
            const STATUSES: &'static [&'static str] = &[];
        }
        let paging = params(&[("sort", "created_at")]).of::<Documents>().unwrap();
        assert_eq!((paging.sort, paging.descending), ("upload_date", false));
    }

    #[test]
    fn every_wrong_parameter_is_named() {
        let wrong = [("page", "0"), ("limit", "101"), ("sort", "password"), ("status", "gone"), ("cursor", "x")];
        let error = params(&wrong).of::<Orders>().unwrap_err();
        let details = error.details.unwrap();
        let fields: Vec<_> = details.as_array().unwrap().iter().map(|field| field["field"].as_str().unwrap()).collect();
        assert_eq!(fields, ["limit", "page", "sort", "status", "cursor"]);
    }

    #[test]
    fn a_cursor_belongs_to_its_order() {
        let first = params(&[("limit", "2"), ("sort", "name")]).of::<Orders>().unwrap();
        let list = first.page(vec!["a", "b", "c"], 3, |row| (*row, 7)).unwrap();
        let cursor = list.meta.next_cursor.unwrap();
        assert_eq!((list.data.len(), list.meta.total_pages), (2, 2));
        let next = params(&[("sort", "name"), ("cursor", &cursor)]).of::<Orders>().unwrap();
        assert_eq!(next.after::<(String, i32)>().unwrap(), Some(("b".to_owned(), 7)));
        assert!(params(&[("sort", "-name"), ("cursor", &cursor)]).of::<Orders>().is_err());
        assert!(params(&[("sort", "name"), ("cursor", &cursor), ("page", "2")]).of::<Orders>().is_err());
        assert!(next.after::<i32>().is_err());
    }
}
