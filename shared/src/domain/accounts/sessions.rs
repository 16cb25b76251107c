//! Sessions of refresh tokens. Owns the table `refresh_sessions`, with one row per session (token family).
//!
//! Each use of a refresh token replaces it by a new one. The second use of a token shows that it was stolen, by
//! either of its two users, and ends the session.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::Rng;
use uuid::Uuid;

use crate::{db::SystemTx, tenants::sha256};

/// Validity of a refresh token.
const REFRESH_TOKEN_LIFETIME_DAYS: i32 = 30;

/// Refresh token in plain text: the session id and 256 random bits. Only the hash of these bits is stored.
#[derive(Clone)]
pub struct RefreshToken {
    /// Session of the token, also named in access tokens.
    pub session: Uuid,
    secret: [u8; 32],
}

impl std::fmt::Debug for RefreshToken {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "RefreshToken({})", self.session)
    }
}

impl RefreshToken {
    fn new(session: Uuid) -> Self {
        let mut secret = [0; 32];
        rand::rng().fill_bytes(&mut secret);
        Self { session, secret }
    }

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
    /// The token is unknown, expired, used before, or of an ended session. The session ends with this error.
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
pub async fn start_session(tx: &mut SystemTx, user: Uuid) -> sqlx::Result<RefreshToken> {
    let token = RefreshToken::new(Uuid::new_v4());
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
    token: &RefreshToken,
) -> sqlx::Result<Result<(Uuid, RefreshToken), RefreshError>> {
    let next = RefreshToken::new(token.session);
    let user = sqlx::query_scalar!(
        r#"
        update refresh_sessions
        set token_sha256 = $3, rotated_at = now(), expires_at = now() + make_interval(days => $4)
        where id = $1 and token_sha256 = $2 and ended_at is null and expires_at > now()
        returning user_id
        "#,
        token.session,
        &sha256(&token.secret),
        &sha256(&next.secret),
        REFRESH_TOKEN_LIFETIME_DAYS
    )
    .fetch_optional(&mut *tx)
    .await?;
    match user {
        Some(user) => Ok(Ok((user, next))),
        None => {
            end_session(tx, token.session).await?;
            Ok(Err(RefreshError::Invalid))
        }
    }
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

    #[test]
    fn an_encoded_token_decodes_to_itself_and_junk_to_none() {
        let token = RefreshToken::new(Uuid::new_v4());
        let read = RefreshToken::decode(&token.encode()).unwrap();
        assert_eq!((read.session, read.secret), (token.session, token.secret));
        for junk in ["", "x", "AAAA", &"A".repeat(200), "é"] {
            assert!(RefreshToken::decode(junk).is_none(), "{junk}");
        }
    }
}
