//! Sessions of refresh tokens. Owns the table `refresh_sessions`, with one row per session (token family).
//!
//! Each use of a refresh token replaces it by its successor. The second use of a token shows that it was stolen, by
//! either of its two users, and ends the session. A token that was never issued ends nothing: the session id alone,
//! which is also in access tokens, must not be enough to sign somebody out.
//!
//! A browser may lose an answer, when its page is loaded again, or ask twice, from two tabs. The successor of a token is
//! computed from it, so that a repeated exchange can give the same answer for some seconds ([`OnReuse::RepeatsAnswer`]).

use aws_lc_rs::{constant_time, hmac};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::Rng;
use uuid::Uuid;

use crate::{db::SystemTx, settings::Settings, tenants::sha256};

/// Validity of a refresh token.
const REFRESH_TOKEN_LIFETIME_DAYS: i32 = 30;
/// Time in which a repeated exchange gives the same successor again, with [`OnReuse::RepeatsAnswer`].
const REUSE_INTERVAL_S: f64 = 30.0;
/// Length of the random part of a token's secret, and of its authentication code, in bytes.
const HALF: usize = 16;

/// Keys that mark refresh tokens as issued by this project. With the marks, tokens that were replaced need not be
/// stored to be recognised.
#[derive(Clone)]
pub struct RefreshKeys(Vec<hmac::Key>);

impl std::fmt::Debug for RefreshKeys {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "RefreshKeys({})", self.0.len())
    }
}

impl RefreshKeys {
    /// Reads JWT_SECRET, a list of which the first secret marks new tokens.
    pub fn read(settings: &mut Settings) -> Self {
        let secrets = settings.secrets("JWT_SECRET");
        Self(secrets.iter().map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())).collect())
    }

    /// Computes a code of a session and some bytes, for one purpose. A signed JWT never begins like these texts, so the
    /// uses of the secret cannot be confused.
    fn code(key: &hmac::Key, purpose: &'static [u8], session: Uuid, bytes: &[u8]) -> [u8; HALF] {
        let mut context = hmac::Context::with_key(key);
        context.update(purpose);
        context.update(session.as_bytes());
        context.update(bytes);
        let mut code = [0; HALF];
        code.copy_from_slice(&context.sign().as_ref()[..HALF]);
        code
    }

    /// Computes the authentication code of a token's session and random part.
    fn mark(key: &hmac::Key, session: Uuid, random: &[u8]) -> [u8; HALF] {
        Self::code(key, b"\0refresh token\0", session, random)
    }

    /// Makes the first token of a session.
    fn issue(&self, session: Uuid) -> RefreshToken {
        let mut random = [0; HALF];
        rand::rng().fill_bytes(&mut random);
        self.marked(session, random)
    }

    /// Computes the token that replaces `token`: always the same one, and not computable without the key.
    fn successor(&self, token: &RefreshToken) -> RefreshToken {
        match self.0.first() {
            Some(key) => {
                let random = Self::code(key, b"\0next refresh token\0", token.session, &token.secret);
                self.marked(token.session, random)
            }
            None => self.issue(token.session),
        }
    }

    /// Makes the token of a random part.
    fn marked(&self, session: Uuid, random: [u8; HALF]) -> RefreshToken {
        let mut secret = [0; 2 * HALF];
        secret[..HALF].copy_from_slice(&random);
        if let Some(key) = self.0.first() {
            let mark = Self::mark(key, session, &secret[..HALF]);
            secret[HALF..].copy_from_slice(&mark);
        }
        RefreshToken { session, secret }
    }

    /// Returns true for a token that was issued by this project, whether it is still valid or not.
    #[must_use]
    pub fn has_issued(&self, token: &RefreshToken) -> bool {
        let (random, mark) = token.secret.split_at(HALF);
        self.0
            .iter()
            .any(|key| constant_time::verify_slices_are_equal(&Self::mark(key, token.session, random), mark).is_ok())
    }
}

/// Refresh token in plain text: the session id, 128 random bits and their authentication code. Only the hash of the
/// last two is stored.
#[derive(Clone)]
pub struct RefreshToken {
    /// Session of the token, also named in access tokens.
    pub session: Uuid,
    secret: [u8; 2 * HALF],
}

impl std::fmt::Debug for RefreshToken {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "RefreshToken({})", self.session)
    }
}

impl RefreshToken {
    /// Encodes the token as the text that the client keeps.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut bytes = self.session.as_bytes().to_vec();
        bytes.extend_from_slice(&self.secret);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Decodes the text of a token; `None` when it has the wrong form.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text.trim()).ok()?;
        let (session, secret) = bytes.split_at_checked(16)?;
        Some(Self { session: Uuid::from_slice(session).ok()?, secret: secret.try_into().ok()? })
    }
}

/// Error of exchanging a refresh token.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The token is unknown, expired, used before, or of an ended session. The session ends with this error if the
    /// token was issued by this project.
    #[error("the refresh token is not valid")]
    Invalid,
    /// A database error.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Starts a session for a user and returns its first refresh token, valid for `REFRESH_TOKEN_LIFETIME_DAYS`.
///
/// # Errors
/// Returns any database error.
pub async fn start_session(tx: &mut SystemTx, keys: &RefreshKeys, user: Uuid) -> sqlx::Result<RefreshToken> {
    let token = keys.issue(Uuid::new_v4());
    sqlx::query!(
        r#"
        insert into refresh_sessions (id, user_id, token_sha256, expires_at)
        values ($1, $2, $3, now() + make_interval(days => $4))
        "#,
        token.session,
        user,
        &sha256(&token.secret),
        REFRESH_TOKEN_LIFETIME_DAYS
    )
    .execute(tx)
    .await?;
    Ok(token)
}

/// Consequence of presenting a refresh token again that was just replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnReuse {
    /// The session ends: the token may have been stolen.
    EndsSession,
    /// For 30 s after the exchange, the caller gets the first successor again, unless that one was used itself. Later
    /// the session ends. For tokens in cookies, which no script reads and which the tabs of a browser share.
    RepeatsAnswer,
}

/// Exchanges a refresh token for the next one of its session and returns the user. Of two simultaneous exchanges, the
/// second counts as a reuse of the token.
///
/// The caller must commit the transaction even when the token is refused, since the refusal ends the session. So a
/// refusal is an inner `Err` and not a database error.
///
/// # Errors
/// Returns any database error.
pub async fn refresh(
    tx: &mut SystemTx,
    keys: &RefreshKeys,
    token: &RefreshToken,
    on_reuse: OnReuse,
) -> sqlx::Result<Result<(Uuid, RefreshToken), RefreshError>> {
    let next = keys.successor(token);
    let reuse_interval_s = match on_reuse {
        OnReuse::EndsSession => None,
        // Whoever forges a token knows no successor of it either, so only issued tokens get here.
        OnReuse::RepeatsAnswer => Some(REUSE_INTERVAL_S),
    };
    let user = sqlx::query_scalar!(
        r#"
        update refresh_sessions
        set token_sha256 = $3, expires_at = now() + make_interval(days => $4),
            -- A repetition does not prolong the time for repetitions.
            rotated_at = case when token_sha256 = $2 then now() else rotated_at end
        where id = $1 and ended_at is null and expires_at > now()
          and (token_sha256 = $2 or token_sha256 = $3 and rotated_at > now() - make_interval(secs => $5))
        returning user_id
        "#,
        token.session,
        &sha256(&token.secret),
        &sha256(&next.secret),
        REFRESH_TOKEN_LIFETIME_DAYS,
        reuse_interval_s
    )
    .fetch_optional(&mut *tx)
    .await?;
    match user {
        Some(user) => Ok(Ok((user, next))),
        None => {
            if keys.has_issued(token) {
                end_session(tx, token.session).await?;
            }
            Ok(Err(RefreshError::Invalid))
        }
    }
}

/// Returns true unless the session is known and goes on.
///
/// # Errors
/// Returns any database error.
pub async fn has_ended(tx: &mut SystemTx, session: Uuid) -> sqlx::Result<bool> {
    let goes_on = sqlx::query_scalar!(
        r#"select exists (
            select from refresh_sessions where id = $1 and ended_at is null and expires_at > now()
        ) as "goes_on!""#,
        session
    )
    .fetch_one(tx)
    .await?;
    Ok(!goes_on)
}

/// Ends a session. Has no effect on an ended session.
///
/// # Errors
/// Returns any database error.
pub async fn end_session(tx: &mut SystemTx, session: Uuid) -> sqlx::Result<()> {
    sqlx::query!("update refresh_sessions set ended_at = now() where id = $1 and ended_at is null", session)
        .execute(tx)
        .await
        .map(drop)
}

/// Ends all sessions of a user, after a change of the password.
///
/// # Errors
/// Returns any database error.
pub async fn end_all_sessions(tx: &mut SystemTx, user: Uuid) -> sqlx::Result<()> {
    sqlx::query!("update refresh_sessions set ended_at = now() where user_id = $1 and ended_at is null", user)
        .execute(tx)
        .await
        .map(drop)
}

/// Deletes at most `limit` sessions whose last token expired more than `days` ago, and returns their number.
///
/// # Errors
/// Returns any database error.
pub async fn remove_expired_sessions(tx: &mut SystemTx, days: i32, limit: i64) -> sqlx::Result<u64> {
    sqlx::query!(
        r#"
        delete from refresh_sessions where id in (
            select id from refresh_sessions where expires_at < now() - make_interval(days => $1)
            order by expires_at
            limit $2
        )
        "#,
        days,
        limit
    )
    .execute(tx)
    .await
    .map(|done| done.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(secrets: &str) -> RefreshKeys {
        RefreshKeys::read(&mut Settings::new([("JWT_SECRET".to_owned(), secrets.to_owned())].into()))
    }

    #[test]
    fn an_encoded_token_decodes_to_itself_and_junk_to_none() {
        let token = keys("a secret").issue(Uuid::new_v4());
        let read = RefreshToken::decode(&token.encode()).unwrap();
        assert_eq!((read.session, read.secret), (token.session, token.secret));
        for junk in ["", "x", "AAAA", &"A".repeat(200), "é"] {
            assert!(RefreshToken::decode(junk).is_none(), "{junk}");
        }
    }

    #[test]
    fn a_token_is_recognised_as_issued_also_after_the_key_was_replaced() {
        let token = keys("a secret").issue(Uuid::new_v4());
        assert!(keys("a secret").has_issued(&token));
        assert!(keys("a new secret,a secret").has_issued(&token));
        assert!(!keys("a new secret").has_issued(&token));
        assert_ne!(token.secret, keys("a secret").issue(token.session).secret);
    }

    #[test]
    fn a_token_has_one_successor_which_needs_the_key() {
        let token = keys("a secret").issue(Uuid::new_v4());
        let next = keys("a secret").successor(&token);
        assert_eq!(next.secret, keys("a secret").successor(&token).secret);
        assert_eq!(next.session, token.session);
        assert!(keys("a secret").has_issued(&next));
        assert_ne!(next.secret, token.secret);
        assert_ne!(next.secret, keys("another secret").successor(&token).secret);
        assert_ne!(next.secret, keys("a secret").successor(&next).secret);
    }

    #[test]
    fn a_forged_token_with_the_right_session_is_not_recognised() {
        let keys = keys("a secret");
        let token = keys.issue(Uuid::new_v4());
        for at in [0, HALF - 1, HALF, 2 * HALF - 1] {
            let mut forged = token.clone();
            forged.secret[at] ^= 1;
            assert!(!keys.has_issued(&forged), "{at}");
        }
        let elsewhere = RefreshToken { session: Uuid::new_v4(), ..token };
        assert!(!keys.has_issued(&elsewhere));
    }
}
