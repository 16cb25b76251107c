//! Paging of list endpoints: by `page` and `limit`, or by a `cursor`, which returns every row exactly once even while
//! rows are added and changed. A row moves when the column by which the list is sorted changes (`updated_at`,
//! `last_message_at`): it may then be passed or come again, and every other row still comes once.

use std::marker::PhantomData;

use axum::response::{IntoResponse, Response};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::{
    IntoParams, ToSchema,
    openapi::{
        RefOr, Schema,
        path::{Parameter, ParameterIn},
    },
};

use crate::error::{ApiError, FieldError};

/// Rows that a list counts at most. An exact count of a larger list would cost more than the page.
pub const MAX_COUNTED_ROWS: i64 = 10_000;
/// Maximum size of a page's rows in a response, in bytes. Lambda's limit is 6 MB.
const MAX_PAGE_BYTES: usize = 4_500_000;
/// Rows per page, by default.
const DEFAULT_LIMIT: i64 = 20;
/// Maximum number of rows per page.
const MAX_LIMIT: i64 = 100;
/// Maximum offset of a page, in rows. The database reads and discards the rows before a page; a cursor avoids that.
const MAX_OFFSET: i64 = 100_000;
const NOT_A_CURSOR: &str = "is not a cursor of this list and order";

/// The query parameters of every list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListParams {
    /// Number of the page, from 1. Cannot be used together with `cursor`.
    #[param(minimum = 1, default = 1)]
    page: Option<i64>,
    /// Maximum number of rows per page. A page of long texts has fewer when the response would be too large;
    /// `meta.next_cursor` then goes on after its last row.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<i64>,
    /// Column to sort by; `-` before it sorts descending. The default is the first column, descending.
    sort: Option<String>,
    /// Returns only rows with this status.
    status: Option<String>,
    /// `meta.next_cursor` of the previous page.
    #[param(min_length = 1, pattern = "^[A-Za-z0-9_-]+$")]
    cursor: Option<String>,
}

/// The documentation of [`ListParams`] for the list `L`: `sort` and `status` have the values that `L` accepts, and a list
/// that cannot be filtered by status has no parameter `status`.
#[derive(Debug)]
pub struct ListParamsOf<L>(PhantomData<L>);

impl<L: Listing> IntoParams for ListParamsOf<L> {
    fn into_params(parameter_in: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let aliases = L::SORTS.contains(&L::CREATED_AT) && L::CREATED_AT != "created_at";
        let columns: Vec<_> = L::SORTS.iter().copied().chain(aliases.then_some("created_at")).collect();
        let sorts = columns.iter().flat_map(|column| [(*column).into(), format!("-{column}").into()]);
        let mut parameters = ListParams::into_params(parameter_in);
        parameters.retain(|parameter| parameter.name != "status" || !L::STATUSES.is_empty());
        for parameter in &mut parameters {
            match parameter.name.as_str() {
                "sort" => set_values(parameter, sorts.clone().collect()),
                "status" => set_values(parameter, L::STATUSES.iter().map(|status| (*status).into()).collect()),
                _ => {}
            }
        }
        parameters
    }
}

/// Sets the only values that a parameter accepts.
fn set_values(parameter: &mut Parameter, values: Vec<serde_json::Value>) {
    if let Some(RefOr::T(Schema::Object(object))) = &mut parameter.schema {
        object.enum_values = Some(values);
    }
}

/// The columns and statuses by which a list can be sorted and filtered.
pub trait Listing {
    /// The name of the list in its cursors. A cursor of another list would skip rows, so it is refused.
    const NAME: &'static str;
    /// The columns that the parameter `sort` accepts. The default is the first, descending.
    const SORTS: &'static [&'static str];
    /// The column that `sort=created_at` means, in a list that has one.
    const CREATED_AT: &'static str = "created_at";
    /// The values that the parameter `status` accepts; empty when the list cannot be filtered by status.
    const STATUSES: &'static [&'static str] = &[];
}

/// The validated parameters of a list.
#[derive(Debug, Clone)]
pub struct Paging {
    /// Maximum number of rows per page.
    pub limit: i64,
    /// Rows before the page, at most 100,000; 0 with a cursor.
    pub offset: i64,
    /// [`Listing::NAME`].
    list: &'static str,
    /// Column to sort by, one of [`Listing::SORTS`].
    pub sort: &'static str,
    /// True when the order is descending.
    pub descending: bool,
    /// Status to filter by, one of [`Listing::STATUSES`].
    pub status: Option<&'static str>,
    /// `None` when a cursor is followed.
    page: Option<i64>,
    /// True when the page begins after more rows than `offset` may skip.
    is_too_deep: bool,
    cursor: Option<Cursor>,
}

/// The position after the last row of a page.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Cursor {
    /// [`Listing::NAME`]. `None` in a cursor of an earlier release, whose walk must be able to end.
    #[serde(default)]
    list: Option<String>,
    /// The parameter `sort` of the list. A cursor of another order would skip rows, so it is refused.
    sort: String,
    /// The value by which the last row is sorted, and the row's id.
    last: serde_json::Value,
}

impl ListParams {
    /// Validates the parameters for the list `L`.
    ///
    /// # Errors
    /// 422 with every wrong parameter.
    pub fn validate<L: Listing>(self) -> Result<Paging, ApiError> {
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
            let is_of_list = |cursor: &Cursor| cursor.list.as_deref().is_none_or(|list| list == L::NAME);
            let is_of_order = |cursor: &Cursor| cursor.sort == sort_key(sort, descending);
            let cursor = Cursor::decode(text).filter(|cursor| is_of_list(cursor) && is_of_order(cursor));
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
            Some(_) => (offset.min(MAX_OFFSET), offset > MAX_OFFSET),
            None => (0, false),
        };
        Ok(Paging { list: L::NAME, limit, offset, sort, descending, status, page, is_too_deep, cursor })
    }
}

impl Paging {
    /// Returns the sort value and the id of the previous page's last row; `None` without a cursor.
    ///
    /// # Errors
    /// 422 when the cursor does not contain a `T`, because the client made it up.
    pub fn after<T: DeserializeOwned>(&self) -> Result<Option<T>, ApiError> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        serde_json::from_value(cursor.last.clone()).map(Some).or(Err(not_a_cursor()))
    }

    /// Converts an error of a list's query. Only the type of a cursor's values is validated before the query. When
    /// the database refuses a value itself (NUL, a time out of range), the client made the cursor up: 422 instead of
    /// 500.
    #[must_use]
    pub fn query_error(&self, error: sqlx::Error) -> ApiError {
        // SQLSTATE class 22: data exception.
        let is_data_exception =
            error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code.starts_with("22"));
        if is_data_exception && self.cursor.is_some() { not_a_cursor() } else { error.into() }
    }

    /// The number of rows to query: one more than a page has, to see whether there is a next page.
    #[must_use]
    pub fn rows_to_fetch(&self) -> i64 {
        self.limit + 1
    }

    /// Returns the number of rows in the list when the queried rows are all of them, so that they need not be counted: on
    /// a first page without a next one.
    #[must_use]
    pub fn count_of_whole_list<T>(&self, rows: &[T]) -> Option<i64> {
        let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        (self.cursor.is_none() && self.offset == 0 && count <= self.limit).then_some(count)
    }

    /// Builds the page from the queried rows.
    ///
    /// `counted` is the number of rows in the list; the query may stop counting at any number above
    /// [`MAX_COUNTED_ROWS`]. `last` returns a row's sort value and id, for the cursor.
    ///
    /// # Errors
    /// 422 for a page with an offset over the maximum, in a list that has so many rows. In a shorter list such a page
    /// is empty, like every page beyond the end.
    pub fn page<T: Serialize, K: Serialize>(
        &self,
        mut rows: Vec<T>,
        counted: i64,
        last: impl FnOnce(&T) -> K,
    ) -> Result<List<T>, ApiError> {
        if self.is_too_deep && !rows.is_empty() {
            return Err(ApiError::field("page", "is too deep: follow meta.next_cursor instead"));
        }
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        // At least one row, so that the cursor gets on.
        let fitting = rows_that_fit(&rows, MAX_PAGE_BYTES).max(1).min(limit);
        let has_more = rows.len() > fitting;
        rows.truncate(fitting);
        let next_cursor = rows.last().filter(|_| has_more).and_then(|row| {
            let last = serde_json::to_value(last(row)).ok()?;
            Some(Cursor { list: Some(self.list.to_owned()), sort: sort_key(self.sort, self.descending), last }.encode())
        });
        let total = counted.min(MAX_COUNTED_ROWS);
        let meta = Meta {
            page: self.page,
            limit: self.limit,
            total,
            total_pages: (total + self.limit - 1) / self.limit,
            total_is_estimate: (counted > MAX_COUNTED_ROWS).then_some(true),
            next_cursor,
        };
        Ok(List { success: true, data: rows, meta })
    }
}

/// Returns how many of the first rows together have at most `limit_bytes` in a response. API Gateway gets the response as
/// a JSON string, in which quotes and backslashes are escaped once more.
fn rows_that_fit<T: Serialize>(rows: &[T], limit_bytes: usize) -> usize {
    let mut left = limit_bytes;
    let fits = |row: &&T| {
        let json = serde_json::to_vec(row).unwrap_or_default();
        let escapes = json.iter().filter(|byte| matches!(byte, b'"' | b'\\')).count();
        left.checked_sub(json.len() + escapes + 1).inspect(|rest| left = *rest).is_some()
    };
    rows.iter().take_while(fits).count()
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

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct List<T> {
    /// Always true.
    #[schema(example = true)]
    success: bool,
    /// Rows of the page.
    data: Vec<T>,
    meta: Meta,
}

impl<T> List<T> {
    /// Returns the rows of the page.
    #[must_use]
    pub fn rows(&self) -> &[T] {
        &self.data
    }

    /// The page with each row converted.
    pub fn map<U>(self, convert: impl FnMut(T) -> U) -> List<U> {
        List { success: self.success, data: self.data.into_iter().map(convert).collect(), meta: self.meta }
    }
}

/// Position of the page in its list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "page": 1, "limit": 20, "total": 1, "total_pages": 1, "next_cursor": null }))]
pub struct Meta {
    /// Number of the page, from 1; absent when a cursor is followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<i64>,
    /// Maximum number of rows per page.
    limit: i64,
    /// Number of rows in the list, counted up to 10,000.
    total: i64,
    /// Number of pages that `total` rows fill.
    total_pages: i64,
    /// True when the list has more than `total` rows; otherwise absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    total_is_estimate: Option<bool>,
    /// Cursor of the next page; null on the last page.
    next_cursor: Option<String>,
}

impl<T: Serialize> IntoResponse for List<T> {
    fn into_response(self) -> Response {
        axum::Json(self).into_response()
    }
}

/// Reads one page of a list from the database, in the order that the caller asked for, and counts the list's rows up to
/// [`MAX_COUNTED_ROWS`]. Gives a `Result<List<Row>, ApiError>`.
///
/// - `select`: the columns, as `sqlx::query_as!` wants them for the row's fields: one literal, or several in brackets,
///   joined by `+`. They are evaluated for the rows of the page alone, which is named `page` for subqueries.
/// - `from`: the source and the filter. `$1` is the tenant; `$2`, `$3` … are the values of `bind`: none to four, or seven.
/// - `order`: for each of the listing's sorts its name, the column, the column's type in SQL and in Rust, and the row's
///   field.
/// - `id`: the column that makes the order unique, in the same form. A list whose only order is this column has no
///   `order`.
///
/// Every order needs an index on the tenant, the column and the id.
///
/// ```ignore
/// list_page!(tx, paging, Product {
///     select: "id, name, price_cents, created_at",
///     from: "products where customer_id = $1 and ($2::text is null or status = $2)",
///     bind: [paging.status],
///     order: ["created_at": "created_at" "timestamptz" DateTime<Utc> = created_at],
///     id: "id" "uuid" Uuid = id,
/// })
/// ```
macro_rules! list_page {
    ($tx:expr, $paging:expr, $row:ident {
        select: [$($select:tt)+], from: $from:tt, bind: [$($bind:expr),*], $($keys:tt)*
    }) => {
        $crate::paging::list_page!(@places [$($bind),*] ($tx, $paging, $row, [$($select)+], $from) $($keys)*)
    };
    ($tx:expr, $paging:expr, $row:ident { select: $select:tt, $($rest:tt)* }) => {
        $crate::paging::list_page!($tx, $paging, $row { select: [$select], $($rest)* })
    };
    // The values of a page follow those of the filter: after, id after, limit, offset; and of the count its limit.
    (@places [] $list:tt $($keys:tt)*) => {
        $crate::paging::list_page!(@keys $list [] ("$2" "$3" "$4" "$5") $($keys)*)
    };
    (@places [$a:expr] $list:tt $($keys:tt)*) => {
        $crate::paging::list_page!(@keys $list [$a,] ("$3" "$4" "$5" "$6") $($keys)*)
    };
    (@places [$a:expr, $b:expr] $list:tt $($keys:tt)*) => {
        $crate::paging::list_page!(@keys $list [$a, $b,] ("$4" "$5" "$6" "$7") $($keys)*)
    };
    (@places [$a:expr, $b:expr, $c:expr] $list:tt $($keys:tt)*) => {
        $crate::paging::list_page!(@keys $list [$a, $b, $c,] ("$5" "$6" "$7" "$8") $($keys)*)
    };
    (@places [$a:expr, $b:expr, $c:expr, $d:expr] $list:tt $($keys:tt)*) => {
        $crate::paging::list_page!(@keys $list [$a, $b, $c, $d,] ("$6" "$7" "$8" "$9") $($keys)*)
    };
    (@places [$a:expr, $b:expr, $c:expr, $d:expr, $e:expr, $f:expr, $g:expr] $list:tt $($keys:tt)*) => {
        $crate::paging::list_page!(@keys $list [$a, $b, $c, $d, $e, $f, $g,] ("$9" "$10" "$11" "$12") $($keys)*)
    };
    (@keys $list:tt $bind:tt $places:tt
        order: [$($sort:tt: $column:tt $sql_type:tt $type:ty = $field:ident),+ $(,)?],
        id: $id:tt $id_sql_type:tt $id_type:ty = $id_field:ident $(,)?
    ) => {
        'page: {
            $(
                if $crate::paging::list_page!(@paging $list).sort == $sort {
                    break 'page $crate::paging::list_page!(
                        @page $list $bind $places
                        $column $sql_type $type, $field, $id $id_sql_type $id_type, $id_field
                    );
                }
            )+
            Err($crate::error::ApiError::internal())
        }
    };
    (@keys $list:tt $bind:tt $places:tt id: $id:tt $id_sql_type:tt $id_type:ty = $id_field:ident $(,)?) => {
        $crate::paging::list_page!(@page_by_id $list $bind $places $id $id_sql_type $id_type, $id_field)
    };
    (@paging ($tx:expr, $paging:expr, $row:ident, $select:tt, $from:tt)) => { $paging };
    (@count
        ($tx:expr, $paging:expr, $row:ident, $select:tt, $from:tt) [$($bind:expr,)*]
        ($limit:tt $_id:tt $_limit:tt $_offset:tt)
    ) => {
        sqlx::query_scalar!(
            r#"select count(*) as "count!" from (select from "# + $from + " limit " + $limit + ") counted",
            $tx.tenant(),
            $($bind,)*
            $crate::paging::MAX_COUNTED_ROWS + 1
        )
        .fetch_one(&mut *$tx)
        .await?
    };
    (@page
        ($tx:expr, $paging:expr, $row:ident, $select:tt, $from:tt) $bind:tt $places:tt
        $column:tt $sql_type:tt $type:ty, $field:ident, $id:tt $id_sql_type:tt $id_type:ty, $id_field:ident
    ) => {{
        let after: Option<($type, $id_type)> = $paging.after()?;
        let (after, after_id) = after.unzip();
        let rows = if $paging.descending {
            $crate::paging::list_page!(
                @rows ($tx, $paging, $row, $select, $from) $bind $places
                $column $sql_type after "<" "desc", $id $id_sql_type after_id
            )
        } else {
            $crate::paging::list_page!(
                @rows ($tx, $paging, $row, $select, $from) $bind $places
                $column $sql_type after ">" "asc", $id $id_sql_type after_id
            )
        };
        let rows = rows.map_err(|error| $paging.query_error(error))?;
        let counted = match $paging.count_of_whole_list(&rows) {
            Some(counted) => counted,
            None => $crate::paging::list_page!(@count ($tx, $paging, $row, $select, $from) $bind $places),
        };
        $paging.page(rows, counted, |last: &$row| (last.$field.clone(), last.$id_field.clone()))
    }};
    (@page_by_id
        ($tx:expr, $paging:expr, $row:ident, $select:tt, $from:tt) $bind:tt $places:tt
        $id:tt $id_sql_type:tt $id_type:ty, $id_field:ident
    ) => {{
        let after: Option<$id_type> = $paging.after()?;
        let rows = if $paging.descending {
            $crate::paging::list_page!(
                @rows_by_id ($tx, $paging, $row, $select, $from) $bind $places $id $id_sql_type after "<" "desc"
            )
        } else {
            $crate::paging::list_page!(
                @rows_by_id ($tx, $paging, $row, $select, $from) $bind $places $id $id_sql_type after ">" "asc"
            )
        };
        let rows = rows.map_err(|error| $paging.query_error(error))?;
        let counted = match $paging.count_of_whole_list(&rows) {
            Some(counted) => counted,
            None => $crate::paging::list_page!(@count ($tx, $paging, $row, $select, $from) $bind $places),
        };
        $paging.page(rows, counted, |last: &$row| last.$id_field.clone())
    }};
    (@rows
        ($tx:expr, $paging:expr, $row:ident, [$($select:tt)+], $from:tt) [$($bind:expr,)*]
        ($after_place:tt $id_place:tt $limit_place:tt $offset_place:tt)
        $column:tt $sql_type:tt $after:ident $beyond:tt $direction:tt, $id:tt $id_sql_type:tt $after_id:ident
    ) => {
        sqlx::query_as!(
            $row,
            "select " + $($select)+ + " from (select * from " + $from
                + " and (" + $after_place + "::" + $sql_type + " is null or (" + $column + ", " + $id + ") " + $beyond
                + " (" + $after_place + ", " + $id_place + "::" + $id_sql_type + ")) order by " + $column + " "
                + $direction + ", " + $id + " " + $direction + " limit " + $limit_place + " offset " + $offset_place
                + ") page order by " + $column + " " + $direction + ", " + $id + " " + $direction,
            $tx.tenant(),
            $($bind,)*
            $after,
            $after_id,
            $paging.rows_to_fetch(),
            $paging.offset
        )
        .fetch_all(&mut *$tx)
        .await
    };
    (@rows_by_id
        ($tx:expr, $paging:expr, $row:ident, [$($select:tt)+], $from:tt) [$($bind:expr,)*]
        ($after_place:tt $limit_place:tt $offset_place:tt $_unused:tt)
        $id:tt $id_sql_type:tt $after:ident $beyond:tt $direction:tt
    ) => {
        sqlx::query_as!(
            $row,
            "select " + $($select)+ + " from (select * from " + $from
                + " and (" + $after_place + "::" + $id_sql_type + " is null or " + $id + " " + $beyond + " "
                + $after_place + ") order by " + $id + " " + $direction
                + " limit " + $limit_place + " offset " + $offset_place + ") page order by " + $id + " " + $direction,
            $tx.tenant(),
            $($bind,)*
            $after,
            $paging.rows_to_fetch(),
            $paging.offset
        )
        .fetch_all(&mut *$tx)
        .await
    };
}

pub(crate) use list_page;

#[cfg(test)]
mod tests {
    use super::*;

    struct Orders;

    impl Listing for Orders {
        const NAME: &'static str = "orders";
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
    fn without_parameters_the_first_page_is_sorted_newest_first() {
        let paging = params(&[]).validate::<Orders>().unwrap();
        assert_eq!((paging.limit, paging.offset, paging.sort, paging.descending), (20, 0, "created_at", true));
    }

    #[test]
    fn a_page_beyond_the_end_is_empty_and_a_too_deep_page_with_rows_is_refused() {
        let paging = params(&[("page", "999999")]).validate::<Orders>().unwrap();
        assert_eq!(paging.offset, MAX_OFFSET);
        let list = paging.page(Vec::<i32>::new(), 3, |row| *row).unwrap();
        assert_eq!((list.data.len(), list.meta.page, list.meta.next_cursor), (0, Some(999_999), None));
        assert!(paging.page(vec![1], MAX_COUNTED_ROWS + 1, |row| *row).is_err());
    }

    #[test]
    fn sort_by_created_at_uses_the_column_of_the_list() {
        struct Documents;
        impl Listing for Documents {
            const NAME: &'static str = "documents";
            const SORTS: &'static [&'static str] = &["upload_date", "filename"];
            const CREATED_AT: &'static str = "upload_date";
            const STATUSES: &'static [&'static str] = &[];
        }
        let paging = params(&[("sort", "created_at")]).validate::<Documents>().unwrap();
        assert_eq!((paging.sort, paging.descending), ("upload_date", false));
    }

    #[test]
    fn every_wrong_parameter_is_reported() {
        let wrong = [("page", "0"), ("limit", "101"), ("sort", "password"), ("status", "gone"), ("cursor", "x")];
        let error = params(&wrong).validate::<Orders>().unwrap_err();
        let details = error.details.unwrap();
        let fields: Vec<_> = details.as_array().unwrap().iter().map(|field| field["field"].as_str().unwrap()).collect();
        assert_eq!(fields, ["limit", "page", "sort", "status", "cursor"]);
    }

    #[test]
    fn rows_of_a_first_page_without_a_next_one_are_the_whole_list() {
        let counted = |given: &[(&str, &str)], rows: usize| {
            params(given).validate::<Orders>().unwrap().count_of_whole_list(&vec![0; rows])
        };
        assert_eq!([0, 2, 3].map(|rows| counted(&[("limit", "2")], rows)), [Some(0), Some(2), None]);
        assert_eq!([0, 2].map(|rows| counted(&[("limit", "2"), ("page", "2")], rows)), [None, None]);
        let list = params(&[("limit", "1")]).validate::<Orders>().unwrap().page(vec![1, 2], 2, |row| *row).unwrap();
        let cursor = list.meta.next_cursor.unwrap();
        assert_eq!(counted(&[("limit", "1"), ("cursor", &cursor)], 1), None);
    }

    #[test]
    fn a_cursor_with_another_sort_or_a_page_is_refused() {
        let first = params(&[("limit", "2"), ("sort", "name")]).validate::<Orders>().unwrap();
        let list = first.page(vec!["a", "b", "c"], 3, |row| (*row, 7)).unwrap();
        let cursor = list.meta.next_cursor.unwrap();
        assert_eq!((list.data.len(), list.meta.total_pages), (2, 2));
        let next = params(&[("sort", "name"), ("cursor", &cursor)]).validate::<Orders>().unwrap();
        assert_eq!(next.after::<(String, i32)>().unwrap(), Some(("b".to_owned(), 7)));
        assert!(params(&[("sort", "-name"), ("cursor", &cursor)]).validate::<Orders>().is_err());
        assert!(params(&[("sort", "name"), ("cursor", &cursor), ("page", "2")]).validate::<Orders>().is_err());
        assert!(next.after::<i32>().is_err());
    }

    #[test]
    fn a_cursor_of_another_list_is_refused_and_one_of_an_earlier_release_is_followed() {
        struct Products;
        impl Listing for Products {
            const NAME: &'static str = "products";
            const SORTS: &'static [&'static str] = &["created_at", "name"];
        }
        let first = params(&[("limit", "1")]).validate::<Products>().unwrap();
        let cursor = first.page(vec!["a", "b"], 2, |row| (*row, 7)).unwrap().meta.next_cursor.unwrap();
        assert!(params(&[("cursor", &cursor)]).validate::<Products>().is_ok());
        let error = params(&[("cursor", &cursor)]).validate::<Orders>().unwrap_err();
        assert_eq!(error.details.unwrap()[0]["message"], NOT_A_CURSOR);
        let unnamed = URL_SAFE_NO_PAD.encode(r#"{"sort":"-created_at","last":["a",7]}"#);
        let paging = params(&[("cursor", &unnamed)]).validate::<Orders>().unwrap();
        assert_eq!(paging.after::<(String, i32)>().unwrap(), Some(("a".to_owned(), 7)));
    }
}
