//! A Supabase project, as far as sign-in goes: GoTrue with its documented answers, and the key set it signs with.
//! https://supabase.com/docs/reference/self-hosting-auth/introduction, and its error codes:
//! https://supabase.com/docs/guides/auth/debugging/error-codes

use std::{
    collections::HashMap,
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rand::SystemRandom,
    rsa,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use axum::{
    Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use chrono::Utc;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};
use uuid::Uuid;

use super::{Proxy, in_seconds};

const ANON_KEY: &str = "anon-key-of-the-project";

/// A key of the project.
pub(crate) struct Key {
    pub(crate) id: &'static str,
    algorithm: Algorithm,
    signing: EncodingKey,
    pub(crate) public: Jwk,
}

impl Key {
    pub(crate) fn elliptic(id: &'static str) -> Self {
        let pair = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        Self::new(id, Algorithm::ES256, EncodingKey::from_ec_der(pair.as_ref()))
    }

    pub(crate) fn rsa(id: &'static str) -> Self {
        let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap();
        let wrapped = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
        // PKCS #8 is the key of PKCS #1 behind a header of 26 bytes, for keys of this size.
        Self::new(id, Algorithm::RS256, EncodingKey::from_rsa_der(&wrapped.as_ref()[26..]))
    }

    fn new(id: &'static str, algorithm: Algorithm, signing: EncodingKey) -> Self {
        let mut public = Jwk::from_encoding_key(&signing, algorithm).unwrap();
        public.common.key_id = Some(id.to_owned());
        Self { id, algorithm, signing, public }
    }

    /// A token with these claims.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_as(self.id, claims)
    }

    /// The same under another key's id.
    pub(crate) fn sign_as(&self, id: &str, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(id.to_owned());
        encode(&header, claims, &self.signing).unwrap()
    }
}

#[derive(Debug, Clone)]
struct Account {
    id: Uuid,
    email: String,
    password: String,
    is_confirmed: bool,
    metadata: Value,
}

#[derive(Default)]
struct Inner {
    accounts: HashMap<String, Account>,
    /// Refresh tokens, and the session and account of each.
    refresh: HashMap<String, (Uuid, String)>,
    confirms: bool,
    key_requests: usize,
    logouts: Vec<String>,
    /// Answers everything but the keys with this instead.
    trouble: Option<(u16, Value)>,
}

struct Shared {
    url: String,
    key: Key,
    other: Key,
    inner: Mutex<Inner>,
}

/// A running project. Dropped, it ends.
pub(crate) struct Supabase {
    shared: Arc<Shared>,
    /// The way to it.
    pub(crate) network: Proxy,
    _serving: JoinSet<()>,
}

impl Supabase {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let network = Proxy::before(listener.local_addr().unwrap().to_string()).await;
        let shared = Arc::new(Shared {
            url: format!("http://{}", network.address()),
            key: Key::elliptic("elliptic"),
            other: Key::rsa("rsa"),
            inner: Mutex::default(),
        });
        let router = Router::new()
            .route("/auth/v1/.well-known/jwks.json", get(keys))
            .route("/auth/v1/signup", post(sign_up))
            .route("/auth/v1/token", post(token))
            .route("/auth/v1/logout", post(log_out))
            .route("/auth/v1/user", put(change_user))
            .with_state(Arc::clone(&shared));
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { shared, network, _serving: serving }
    }

    /// The settings that make it the product's.
    pub(crate) fn settings(&self) -> [(&str, &str); 2] {
        [("SUPABASE_URL", &self.shared.url), ("SUPABASE_ANON_KEY", ANON_KEY)]
    }

    pub(crate) fn elliptic(&self) -> &Key {
        &self.shared.key
    }

    pub(crate) fn rsa(&self) -> &Key {
        &self.shared.other
    }

    /// What an honest token of the project says.
    pub(crate) fn claims(&self, user: Uuid) -> Value {
        self.shared.claims(user, Uuid::new_v4())
    }

    /// New accounts have to confirm their address.
    pub(crate) fn require_confirmation(&self) {
        self.inner().confirms = true;
    }

    /// Follows the link in the mail.
    pub(crate) fn confirm(&self, email: &str) {
        self.inner().accounts.get_mut(email).unwrap().is_confirmed = true;
    }

    /// Makes an account that the product has never seen, with metadata that its user may have written.
    pub(crate) fn add_account(&self, email: &str, password: &str, metadata: Value) -> Uuid {
        let id = Uuid::new_v4();
        let account =
            Account { id, email: email.to_owned(), password: password.to_owned(), is_confirmed: true, metadata };
        self.inner().accounts.insert(email.to_owned(), account);
        id
    }

    /// Answers every call with an error.
    pub(crate) fn be_in_trouble(&self, status: u16, body: Value) {
        self.inner().trouble = Some((status, body));
    }

    pub(crate) fn recover(&self) {
        self.inner().trouble = None;
    }

    /// How often the keys were fetched.
    pub(crate) fn key_requests(&self) -> usize {
        self.inner().key_requests
    }

    /// The scopes of the logouts so far.
    pub(crate) fn logouts(&self) -> Vec<String> {
        self.inner().logouts.clone()
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.shared.inner.lock().unwrap()
    }
}

impl Shared {
    fn claims(&self, user: Uuid, session: Uuid) -> Value {
        json!({
            "sub": user,
            "role": "authenticated",
            "iss": format!("{}/auth/v1", self.url),
            "aud": "authenticated",
            "exp": in_seconds(3600),
            "iat": in_seconds(0),
            "session_id": session,
            "is_anonymous": false,
            "app_metadata": { "provider": "email" },
        })
    }

    /// Refuses what the project would refuse before it looks at the call.
    fn check(&self, headers: &HeaderMap) -> Answer<()> {
        if let Some((status, body)) = self.inner.lock().unwrap().trouble.clone() {
            return Err(Refusal(status, body));
        }
        match headers.get("apikey") {
            Some(key) if key == ANON_KEY => Ok(()),
            _ => Err(refusal(401, "no_authorization", "No API key found in request")),
        }
    }

    fn session(&self, account: &Account, session: Uuid) -> Value {
        let refresh_token = Uuid::new_v4().simple().to_string();
        let owner = (session, account.email.clone());
        self.inner.lock().unwrap().refresh.insert(refresh_token.clone(), owner);
        json!({
            "access_token": self.key.sign(&self.claims(account.id, session)),
            "token_type": "bearer",
            "expires_in": 3600,
            "expires_at": in_seconds(3600),
            "refresh_token": refresh_token,
            "user": user(account),
            "weak_password": null,
        })
    }

    /// The address of who signed this token.
    fn caller(&self, headers: &HeaderMap) -> Option<String> {
        let token = headers.get("authorization")?.to_str().ok()?.strip_prefix("Bearer ")?;
        let claims = jsonwebtoken::dangerous::insecure_decode::<Value>(token).ok()?.claims;
        let inner = self.inner.lock().unwrap();
        let id = claims["sub"].as_str()?;
        inner.accounts.values().find(|account| account.id.to_string() == id).map(|account| account.email.clone())
    }
}

fn user(account: &Account) -> Value {
    json!({
        "id": account.id,
        "aud": "authenticated",
        "role": "authenticated",
        "email": account.email,
        "email_confirmed_at": account.is_confirmed.then(Utc::now),
        "confirmation_sent_at": Utc::now(),
        "phone": "",
        "app_metadata": { "provider": "email", "providers": ["email"] },
        "user_metadata": account.metadata,
        "identities": [],
        "created_at": Utc::now(),
        "updated_at": Utc::now(),
        "is_anonymous": false,
    })
}

/// What GoTrue says instead of an answer.
struct Refusal(u16, Value);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (StatusCode::from_u16(self.0).unwrap(), Json(self.1)).into_response()
    }
}

fn refusal(status: u16, error_code: &str, msg: &str) -> Refusal {
    Refusal(status, json!({ "code": status, "error_code": error_code, "msg": msg }))
}

type Answer<T = Json<Value>> = Result<T, Refusal>;

async fn keys(State(shared): State<Arc<Shared>>) -> Json<Value> {
    shared.inner.lock().unwrap().key_requests += 1;
    Json(json!({ "keys": [&shared.key.public, &shared.other.public] }))
}

async fn sign_up(State(shared): State<Arc<Shared>>, headers: HeaderMap, Json(body): Json<Value>) -> Answer {
    shared.check(&headers)?;
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let (email, password) = (text("email").to_lowercase(), text("password"));
    if password.contains("password") {
        return Err(refusal(422, "weak_password", "Password is known to be weak and easy to guess"));
    }
    let confirms = shared.inner.lock().unwrap().confirms;
    let new = Account {
        id: Uuid::new_v4(),
        email: email.clone(),
        password,
        is_confirmed: !confirms,
        metadata: body["data"].clone(),
    };
    let is_taken = shared.inner.lock().unwrap().accounts.contains_key(&email);
    match (is_taken, confirms) {
        (true, false) => return Err(refusal(422, "user_already_exists", "User already registered")),
        // So as not to tell that there is an account, GoTrue invents one.
        (true, true) => return Ok(Json(user(&new))),
        (false, _) => shared.inner.lock().unwrap().accounts.insert(email, new.clone()),
    };
    Ok(Json(if confirms { user(&new) } else { shared.session(&new, Uuid::new_v4()) }))
}

async fn token(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Answer {
    shared.check(&headers)?;
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    if query["grant_type"] == "refresh_token" {
        let used = shared.inner.lock().unwrap().refresh.remove(text("refresh_token"));
        let (session, email) = used
            .ok_or_else(|| refusal(400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found"))?;
        let account = shared.inner.lock().unwrap().accounts[&email].clone();
        return Ok(Json(shared.session(&account, session)));
    }
    let found = shared.inner.lock().unwrap().accounts.get(&text("email").to_lowercase()).cloned();
    match found {
        Some(account) if account.password != text("password") => None,
        found => found,
    }
    .ok_or_else(|| refusal(400, "invalid_credentials", "Invalid login credentials"))
    .and_then(|account| match account.is_confirmed {
        true => Ok(Json(shared.session(&account, Uuid::new_v4()))),
        false => Err(refusal(400, "email_not_confirmed", "Email not confirmed")),
    })
}

async fn log_out(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Answer<StatusCode> {
    shared.check(&headers)?;
    let email = shared.caller(&headers).ok_or_else(|| refusal(401, "bad_jwt", "invalid JWT"))?;
    let mut inner = shared.inner.lock().unwrap();
    let before = inner.refresh.len();
    inner.refresh.retain(|_, (_, owner)| *owner != email);
    if inner.refresh.len() == before {
        return Err(refusal(403, "session_not_found", "Session from session_id claim in JWT does not exist"));
    }
    inner.logouts.push(query["scope"].clone());
    Ok(StatusCode::NO_CONTENT)
}

async fn change_user(State(shared): State<Arc<Shared>>, headers: HeaderMap, Json(body): Json<Value>) -> Answer {
    shared.check(&headers)?;
    let email = shared.caller(&headers).ok_or_else(|| refusal(401, "bad_jwt", "invalid JWT"))?;
    let mut inner = shared.inner.lock().unwrap();
    let account = inner.accounts.get_mut(&email).unwrap();
    let password = body["password"].as_str().unwrap_or_default();
    if account.password == password {
        return Err(refusal(422, "same_password", "New password should be different from the old password."));
    }
    account.password = password.to_owned();
    Ok(Json(user(account)))
}
