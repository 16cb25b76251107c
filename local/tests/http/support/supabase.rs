//! A fake Supabase project with the sign-in part only: GoTrue with its documented answers, and the key set that signs
//! its tokens.
//!
//! Source of the answers: <https://supabase.com/docs/reference/self-hosting-auth/introduction>. Source of the error
//! codes: <https://supabase.com/docs/guides/auth/debugging/error-codes>.

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
use local::testing::FaultProxy;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};
use uuid::Uuid;

use super::unix_time_in;

const ANON_KEY: &str = "anon-key-of-the-project";

/// A signing key of the project.
pub(crate) struct ProjectKey {
    pub(crate) id: &'static str,
    algorithm: Algorithm,
    signing: EncodingKey,
    pub(crate) public: Jwk,
}

impl ProjectKey {
    /// Generates a P-256 key, for ES256.
    pub(crate) fn elliptic(id: &'static str) -> Self {
        let pair = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        Self::new(id, Algorithm::ES256, EncodingKey::from_ec_der(pair.as_ref()))
    }

    /// Generates an RSA key of 2048 bits, for RS256.
    pub(crate) fn rsa(id: &'static str) -> Self {
        let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap();
        let wrapped = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
        // For RSA keys of 2048 bits, PKCS #8 is a header of 26 bytes and then the PKCS #1 key.
        Self::new(id, Algorithm::RS256, EncodingKey::from_rsa_der(&wrapped.as_ref()[26..]))
    }

    fn new(id: &'static str, algorithm: Algorithm, signing: EncodingKey) -> Self {
        let mut public = Jwk::from_encoding_key(&signing, algorithm).unwrap();
        public.common.key_id = Some(id.to_owned());
        Self { id, algorithm, signing, public }
    }

    /// Signs a token with these claims under the key's own id.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_as(self.id, claims)
    }

    /// Signs a token with these claims and the key id `id` in its header.
    pub(crate) fn sign_as(&self, id: &str, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(id.to_owned());
        encode(&header, claims, &self.signing).unwrap()
    }
}

/// A user of the project.
#[derive(Debug, Clone)]
struct Account {
    id: Uuid,
    email: String,
    password: String,
    is_confirmed: bool,
    is_anonymous: bool,
    metadata: Value,
}

/// The mutable state of the project.
#[derive(Default)]
struct ProjectState {
    /// Accounts by email address.
    accounts: HashMap<String, Account>,
    /// Session id and email address by refresh token.
    refresh: HashMap<String, (Uuid, String)>,
    /// True when new accounts have to confirm their address.
    requires_confirmation: bool,
    key_requests: usize,
    logouts: Vec<String>,
    /// Addresses to which a link for a new password was sent.
    recoveries: Vec<String>,
    /// Status and body that answer every request except the one for the key set.
    forced_error: Option<(u16, Value)>,
}

/// The data behind the routes.
struct ProjectServer {
    url: String,
    /// The key that signs the project's tokens.
    elliptic_key: ProjectKey,
    rsa_key: ProjectKey,
    state: Mutex<ProjectState>,
}

/// A running fake project. Dropping it stops its server.
pub(crate) struct FakeSupabase {
    server: Arc<ProjectServer>,
    /// The proxy through which the product reaches the project.
    pub(crate) network: FaultProxy,
    _serving: JoinSet<()>,
}

impl FakeSupabase {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let network = FaultProxy::start(listener.local_addr().unwrap().to_string()).await.unwrap();
        let server = Arc::new(ProjectServer {
            url: format!("http://{}", network.address()),
            elliptic_key: ProjectKey::elliptic("elliptic"),
            rsa_key: ProjectKey::rsa("rsa"),
            state: Mutex::default(),
        });
        let router = Router::new()
            .route("/auth/v1/.well-known/jwks.json", get(keys))
            .route("/auth/v1/signup", post(sign_up))
            .route("/auth/v1/token", post(token))
            .route("/auth/v1/logout", post(log_out))
            .route("/auth/v1/user", put(change_user))
            .route("/auth/v1/recover", post(recover))
            .route("/auth/v1/settings", get(settings))
            .with_state(Arc::clone(&server));
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { server, network, _serving: serving }
    }

    /// The settings that make the product use this project.
    pub(crate) fn settings(&self) -> [(&str, &str); 2] {
        [("SUPABASE_URL", &self.server.url), ("SUPABASE_ANON_KEY", ANON_KEY)]
    }

    /// The addresses to which a link for a new password was sent.
    pub(crate) fn recoveries(&self) -> Vec<String> {
        self.server.state.lock().unwrap().recoveries.clone()
    }

    /// The key that signs the project's tokens.
    pub(crate) fn elliptic_key(&self) -> &ProjectKey {
        &self.server.elliptic_key
    }

    /// The second key of the project's key set.
    pub(crate) fn rsa_key(&self) -> &ProjectKey {
        &self.server.rsa_key
    }

    /// Valid claims for a user of the project, in a new session.
    pub(crate) fn claims(&self, user: Uuid) -> Value {
        self.server.claims(user, Uuid::new_v4())
    }

    /// Makes new accounts confirm their address before they can sign in.
    pub(crate) fn require_confirmation(&self) {
        self.state().requires_confirmation = true;
    }

    /// Confirms an account's address, as if its user followed the link in the mail.
    pub(crate) fn confirm(&self, email: &str) {
        self.state().accounts.get_mut(email).unwrap().is_confirmed = true;
    }

    /// Adds an account that the product has never seen, with metadata that its user could have set. Returns the user
    /// id.
    pub(crate) fn add_account(&self, email: &str, password: &str, metadata: Value) -> Uuid {
        let id = Uuid::new_v4();
        let account = Account {
            id,
            email: email.to_owned(),
            password: password.to_owned(),
            is_confirmed: true,
            is_anonymous: false,
            metadata,
        };
        self.state().accounts.insert(email.to_owned(), account);
        id
    }

    /// Adds an anonymous account, and returns its user id and the refresh token of its session.
    pub(crate) fn add_anonymous_account(&self) -> (Uuid, String) {
        let id = self.add_account("", "", json!({}));
        let mut state = self.state();
        state.accounts.get_mut("").unwrap().is_anonymous = true;
        let token = Uuid::new_v4().simple().to_string();
        state.refresh.insert(token.clone(), (Uuid::new_v4(), String::new()));
        (id, token)
    }

    /// Changes the address of an account, as if its user followed the links in the mails. An anonymous account, whose
    /// address is empty, becomes permanent.
    pub(crate) fn change_address(&self, old: &str, new: &str) {
        let mut state = self.state();
        let mut account = state.accounts.remove(old).unwrap();
        account.email = new.to_owned();
        account.is_anonymous = false;
        state.accounts.insert(new.to_owned(), account);
        state.refresh.values_mut().filter(|(_, owner)| owner == old).for_each(|(_, owner)| *owner = new.to_owned());
    }

    /// Deletes an account with its sessions.
    pub(crate) fn delete_account(&self, email: &str) {
        let mut state = self.state();
        state.accounts.remove(email).unwrap();
        state.refresh.retain(|_, (_, owner)| owner != email);
    }

    /// Answers every request except the one for the key set with this error.
    pub(crate) fn fail_with(&self, status: u16, body: Value) {
        self.state().forced_error = Some((status, body));
    }

    /// Ends the forced error; requests are answered normally again.
    pub(crate) fn recover(&self) {
        self.state().forced_error = None;
    }

    /// Number of requests for the key set so far.
    pub(crate) fn key_requests(&self) -> usize {
        self.state().key_requests
    }

    /// The scopes of all successful logouts so far.
    pub(crate) fn logouts(&self) -> Vec<String> {
        self.state().logouts.clone()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, ProjectState> {
        self.server.state.lock().unwrap()
    }
}

impl ProjectServer {
    fn claims(&self, user: Uuid, session: Uuid) -> Value {
        json!({
            "sub": user,
            "role": "authenticated",
            "iss": format!("{}/auth/v1", self.url),
            "aud": "authenticated",
            "exp": unix_time_in(3600),
            "iat": unix_time_in(0),
            "session_id": session,
            "is_anonymous": false,
            "app_metadata": { "provider": "email" },
        })
    }

    /// Checks the API key of a request, and applies the forced error, before the request itself is handled.
    fn check(&self, headers: &HeaderMap) -> GoTrueResult<()> {
        if let Some((status, body)) = self.state.lock().unwrap().forced_error.clone() {
            return Err(GoTrueErrorBody(status, body));
        }
        match headers.get("apikey") {
            Some(key) if key == ANON_KEY => Ok(()),
            _ => Err(error_body(401, "no_authorization", "No API key found in request")),
        }
    }

    /// Issues an access token and a refresh token for an account's session.
    fn session(&self, account: &Account, session: Uuid) -> Value {
        let refresh_token = Uuid::new_v4().simple().to_string();
        let owner = (session, account.email.clone());
        self.state.lock().unwrap().refresh.insert(refresh_token.clone(), owner);
        json!({
            "access_token": self.elliptic_key.sign(&self.claims(account.id, session)),
            "token_type": "bearer",
            "expires_in": 3600,
            "expires_at": unix_time_in(3600),
            "refresh_token": refresh_token,
            "user": user(account),
            "weak_password": null,
        })
    }

    /// The email address of the bearer token's user. The signature is not checked.
    fn caller(&self, headers: &HeaderMap) -> Option<String> {
        let token = headers.get("authorization")?.to_str().ok()?.strip_prefix("Bearer ")?;
        let claims = jsonwebtoken::dangerous::insecure_decode::<Value>(token).ok()?.claims;
        let state = self.state.lock().unwrap();
        let id = claims["sub"].as_str()?;
        state.accounts.values().find(|account| account.id.to_string() == id).map(|account| account.email.clone())
    }
}

/// The public settings of the project's sign-in.
async fn settings(State(server): State<Arc<ProjectServer>>, headers: HeaderMap) -> GoTrueResult {
    server.check(&headers)?;
    Ok(Json(json!({ "external": { "email": true }, "disable_signup": false })))
}

/// The user object of GoTrue's answers.
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
        "is_anonymous": account.is_anonymous,
    })
}

/// GoTrue's error answer: status and body.
struct GoTrueErrorBody(u16, Value);

impl IntoResponse for GoTrueErrorBody {
    fn into_response(self) -> Response {
        (StatusCode::from_u16(self.0).unwrap(), Json(self.1)).into_response()
    }
}

fn error_body(status: u16, error_code: &str, msg: &str) -> GoTrueErrorBody {
    GoTrueErrorBody(status, json!({ "code": status, "error_code": error_code, "msg": msg }))
}

type GoTrueResult<T = Json<Value>> = Result<T, GoTrueErrorBody>;

async fn keys(State(server): State<Arc<ProjectServer>>) -> Json<Value> {
    server.state.lock().unwrap().key_requests += 1;
    Json(json!({ "keys": [&server.elliptic_key.public, &server.rsa_key.public] }))
}

async fn sign_up(
    State(server): State<Arc<ProjectServer>>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> GoTrueResult {
    server.check(&headers)?;
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let (email, password) = (text("email").to_lowercase(), text("password"));
    if password.contains("password") {
        return Err(error_body(422, "weak_password", "Password is known to be weak and easy to guess"));
    }
    let requires_confirmation = server.state.lock().unwrap().requires_confirmation;
    let new = Account {
        id: Uuid::new_v4(),
        email: email.clone(),
        password,
        is_confirmed: !requires_confirmation,
        is_anonymous: false,
        metadata: body["data"].clone(),
    };
    let is_taken = server.state.lock().unwrap().accounts.contains_key(&email);
    match (is_taken, requires_confirmation) {
        (true, false) => return Err(error_body(422, "user_already_exists", "User already registered")),
        // GoTrue invents a user here, so that nobody learns that the account exists.
        (true, true) => return Ok(Json(user(&new))),
        (false, _) => server.state.lock().unwrap().accounts.insert(email, new.clone()),
    };
    Ok(Json(if requires_confirmation { user(&new) } else { server.session(&new, Uuid::new_v4()) }))
}

async fn token(
    State(server): State<Arc<ProjectServer>>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> GoTrueResult {
    server.check(&headers)?;
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    if query["grant_type"] == "refresh_token" {
        let used = server.state.lock().unwrap().refresh.remove(text("refresh_token"));
        let (session, email) = used.ok_or_else(|| {
            error_body(400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found")
        })?;
        let account = server.state.lock().unwrap().accounts[&email].clone();
        return Ok(Json(server.session(&account, session)));
    }
    let found = server.state.lock().unwrap().accounts.get(&text("email").to_lowercase()).cloned();
    match found {
        Some(account) if account.password != text("password") => None,
        found => found,
    }
    .ok_or_else(|| error_body(400, "invalid_credentials", "Invalid login credentials"))
    .and_then(|account| match account.is_confirmed {
        true => Ok(Json(server.session(&account, Uuid::new_v4()))),
        false => Err(error_body(400, "email_not_confirmed", "Email not confirmed")),
    })
}

/// Answers alike for every address, and sends to those with an account.
async fn recover(
    State(server): State<Arc<ProjectServer>>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> GoTrueResult<Json<Value>> {
    server.check(&headers)?;
    let email = body["email"].as_str().unwrap_or_default().to_owned();
    let mut state = server.state.lock().unwrap();
    if state.accounts.contains_key(&email) {
        state.recoveries.push(email);
    }
    Ok(Json(serde_json::json!({})))
}

async fn log_out(
    State(server): State<Arc<ProjectServer>>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> GoTrueResult<StatusCode> {
    server.check(&headers)?;
    let email = server.caller(&headers).ok_or_else(|| error_body(401, "bad_jwt", "invalid JWT"))?;
    let mut state = server.state.lock().unwrap();
    let before = state.refresh.len();
    state.refresh.retain(|_, (_, owner)| *owner != email);
    if state.refresh.len() == before {
        return Err(error_body(403, "session_not_found", "Session from session_id claim in JWT does not exist"));
    }
    state.logouts.push(query["scope"].clone());
    Ok(StatusCode::NO_CONTENT)
}

async fn change_user(
    State(server): State<Arc<ProjectServer>>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> GoTrueResult {
    server.check(&headers)?;
    let email = server.caller(&headers).ok_or_else(|| error_body(401, "bad_jwt", "invalid JWT"))?;
    let mut state = server.state.lock().unwrap();
    let account = state.accounts.get_mut(&email).unwrap();
    let password = body["password"].as_str().unwrap_or_default();
    if account.password == password {
        return Err(error_body(422, "same_password", "New password should be different from the old password."));
    }
    account.password = password.to_owned();
    Ok(Json(user(account)))
}
