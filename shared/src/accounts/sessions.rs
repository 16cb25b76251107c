//! `refresh_sessions`: one row a family of refresh tokens. Each use makes a new token; an older one that turns up again
//! was stolen, or its thief was quicker, and ends the family.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::Rng;
use uuid::Uuid;

use crate::{db::SystemTx, tenants::sha256};

/// A refresh token as its owner holds it: the session, and 256 random bits of which only the hash is kept.
#[derive(Clone)]
pub struct RefreshToken {
    /// The family, also named in access tokens.
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

    /// The text that the client keeps.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut bytes = self.session.as_bytes().to_vec();
        bytes.extend_from_slice(&self.secret);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads what a client sent; `None` when it cannot be one of ours.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text.trim()).ok()?;
        let (session, secret) = bytes.split_at_checked(16)?;
        Some(Self { session: Uuid::from_slice(session).ok()?, secret: secret.try_into().ok()? })
    }
}

/// Why a token was not exchanged.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// Unknown, expired, ended, or used before; in the last case its family has ended.
    #[error("the refresh token is not valid")]
    Invalid,
    /// The database said so.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Starts a family.
///
/// # Errors
/// The database's.
pub async fn start_session(tx: &mut SystemTx, user: Uuid) -> sqlx::Result<RefreshToken> {
    let token = RefreshToken::new(Uuid::new_v4());
    sqlx::query!(
        r#"
        insert into refresh_sessions (id, user_id, token_sha256, expires_at)
        values ($1, $2, $3, now() + interval '30 days')
        "#,
        token.session,
        user,
        &sha256(&token.secret)
    )
    .execute(tx)
    .await?;
    Ok(token)
}

/// Exchanges a token for the next one of its family. Of two exchanges at once, one wins; the other is a reuse.
///
/// The transaction must be committed also when the token is refused: that is when the family ends. So a refusal is a
/// value, not an error.
///
/// # Errors
/// The database's.
pub async fn refresh(
    tx: &mut SystemTx,
    token: &RefreshToken,
) -> sqlx::Result<Result<(Uuid, RefreshToken), RefreshError>> {
    let next = RefreshToken::new(token.session);
    let user = sqlx::query_scalar!(
        r#"
        update refresh_sessions
        set token_sha256 = $3, rotated_at = now(), expires_at = now() + interval '30 days'
        where id = $1 and token_sha256 = $2 and ended_at is null and expires_at > now()
        returning user_id
        "#,
        token.session,
        &sha256(&token.secret),
        &sha256(&next.secret)
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

/// Ends a family. Repeating it changes nothing.
///
/// # Errors
/// The database's.
pub async fn end_session(tx: &mut SystemTx, session: Uuid) -> sqlx::Result<()> {
    sqlx::query!("update refresh_sessions set ended_at = now() where id = $1 and ended_at is null", session)
        .execute(tx)
        .await
        .map(drop)
}

/// Ends all families of a user: the password changed.
///
/// # Errors
/// The database's.
pub async fn end_all(tx: &mut SystemTx, user: Uuid) -> sqlx::Result<()> {
    sqlx::query!("update refresh_sessions set ended_at = now() where user_id = $1 and ended_at is null", user)
        .execute(tx)
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_their_text() {
        let token = RefreshToken::new(Uuid::new_v4());
        let read = RefreshToken::decode(&token.encode()).unwrap();
        assert_eq!((read.session, read.secret), (token.session, token.secret));
        for junk in ["", "x", "AAAA", &"A".repeat(200), "é"] {
            assert!(RefreshToken::decode(junk).is_none(), "{junk}");
        }
    }
}
