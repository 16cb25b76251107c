//! Routes of the catalogue for the company's owner: list, show, add, change, archive and import products.

use axum::{
    extract::{FromRef, State},
    http::{HeaderMap, header},
};
use shared::{
    auth::{AccountUser, Caller, VerificationKeys},
    db::Db,
    error::{ApiError, Result},
    files,
    function::{Function, HttpFunction},
    http::{Bytes, Created, Data, Envelope, Json, NoContent, Path, Query},
    paging::{List, ListParams, ListParamsOf},
    products::{self, CatalogueProduct, NewProduct, ProductFilter, ProductImport, ProductListing, ProductPatch},
    rate_limits::RateLimits,
    routes,
    settings::Settings,
};
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

/// The `products` Lambda function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// Dependencies of the function.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    db: Db,
    keys: VerificationKeys,
    limits: RateLimits,
}

impl HttpFunction for Deps {
    const NAME: &'static str = "products";
    const BODY_LIMIT: usize = 4 * 1024 * 1024;

    fn read(settings: &mut Settings) -> Self {
        let db = Db::read(settings);
        Self { limits: RateLimits::read(settings, &db), keys: VerificationKeys::read(settings), db }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(import)).routes(routes!(show, change, remove))
    }
}

/// Returns a page of the catalogue, newest first unless another order is given. Archived products are listed with
/// `status=archived` only.
#[utoipa::path(
    get, path = "/api/v1/products", tag = "products", params(ProductFilter, ListParamsOf<ProductListing>),
    responses((status = 200, body = List<CatalogueProduct>)),
)]
async fn list(
    caller: Caller<AccountUser>,
    State(db): State<Db>,
    Query(filter): Query<ProductFilter>,
    Query(params): Query<ListParams>,
) -> Result<List<CatalogueProduct>> {
    let paging = params.validate::<ProductListing>()?;
    db.tenant_tx(caller.tenant(), async |tx| products::list(tx, &filter, &paging).await).await
}

/// Adds a product to the catalogue. 409 `product_name_taken` when the catalogue has a product whose name differs in case,
/// accents and white space at most.
#[utoipa::path(
    post, path = "/api/v1/products", tag = "products", request_body = NewProduct,
    responses((status = 201, body = Envelope<CatalogueProduct>), (status = 409)),
)]
async fn create(
    caller: Caller<AccountUser>,
    State(db): State<Db>,
    Json(product): Json<NewProduct>,
) -> Result<Created<CatalogueProduct>> {
    db.tenant_tx(caller.tenant(), async |tx| products::create(tx, &product).await.map(Created)).await
}

/// Imports a CSV file of at most 20,000 products into the catalogue, as a whole or not at all. The first line names the
/// columns `name` and `price`, and where wanted `description`, `currency` and `available`. Products are found by name, and
/// changed or added. A 422 has one entry in `details` for each wrong value, with the line of the file. Columns may be
/// separated by commas, semicolons or tabs. A file that is not UTF-8 is sent as `application/octet-stream`.
#[utoipa::path(
    post, path = "/api/v1/products/import", tag = "products",
    request_body(content = String, content_type = "text/csv", example = "name,price\nCafé moulu 250 g,2500\n"),
    responses((status = 200, body = Envelope<ProductImport>)),
)]
async fn import(
    caller: Caller<AccountUser>,
    State(db): State<Db>,
    headers: HeaderMap,
    Bytes(file): Bytes,
) -> Result<Data<ProductImport>> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !files::is_csv_type(content_type) {
        return Err(ApiError::unsupported_media_type("the content type must be text/csv"));
    }
    db.tenant_tx(caller.tenant(), async |tx| products::import(tx, &file).await.map(Data)).await
}

/// Returns one product, also an archived one.
#[utoipa::path(
    get, path = "/api/v1/products/{id}", tag = "products", params(("id" = Uuid, Path)),
    responses((status = 200, body = Envelope<CatalogueProduct>)),
)]
async fn show(
    caller: Caller<AccountUser>,
    State(db): State<Db>,
    Path(id): Path<Uuid>,
) -> Result<Data<CatalogueProduct>> {
    db.tenant_tx(caller.tenant(), async |tx| products::get(tx, id).await.map(Data)).await
}

/// Changes a product. Absent fields stay as they are, and so do the prices of orders.
#[utoipa::path(
    patch, path = "/api/v1/products/{id}", tag = "products", params(("id" = Uuid, Path)), request_body = ProductPatch,
    responses((status = 200, body = Envelope<CatalogueProduct>), (status = 409)),
)]
async fn change(
    caller: Caller<AccountUser>,
    State(db): State<Db>,
    Path(id): Path<Uuid>,
    Json(patch): Json<ProductPatch>,
) -> Result<Data<CatalogueProduct>> {
    db.tenant_tx(caller.tenant(), async |tx| products::change(tx, id, &patch).await.map(Data)).await
}

/// Deletes a product. A product that an order names is archived instead: the bot does not offer it any more, and
/// `GET /api/v1/products/{id}` still shows it.
#[utoipa::path(
    delete, path = "/api/v1/products/{id}", tag = "products", params(("id" = Uuid, Path)), responses((status = 204)),
)]
async fn remove(caller: Caller<AccountUser>, State(db): State<Db>, Path(id): Path<Uuid>) -> Result<NoContent> {
    db.tenant_tx(caller.tenant(), async |tx| products::remove(tx, id).await.map(|()| NoContent)).await
}
