//! Links to pages of the front end with a one-time token. The token is in the fragment, which browsers send to no server
//! and to no other site.

use crate::settings::Settings;

/// Base of the links.
#[derive(Debug, Clone)]
pub struct OneTimeLinks {
    /// APP_URL without a slash at its end.
    base: Option<String>,
}

/// Page that a link leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkPage {
    /// Accepts an invitation.
    Invitation,
    /// Sets a new password.
    PasswordReset,
}

impl OneTimeLinks {
    /// Reads APP_URL.
    pub fn read(settings: &mut Settings) -> Self {
        Self { base: settings.optional_url("APP_URL") }
    }

    /// Returns the link of a token; `None` when APP_URL is not set.
    #[must_use]
    pub fn link(&self, page: LinkPage, token: &str) -> Option<String> {
        let page = match page {
            LinkPage::Invitation => "invitation",
            LinkPage::PasswordReset => "password-reset",
        };
        self.base.as_ref().map(|base| format!("{base}/{page}#token={token}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_has_its_token_in_the_fragment() {
        let with = |url: &str| {
            let values = [("APP_URL".to_owned(), url.to_owned())];
            OneTimeLinks::read(&mut Settings::new(values.into_iter().filter(|(_, url)| !url.is_empty()).collect()))
        };
        let link = with("https://app.example.com/").link(LinkPage::PasswordReset, "pwr_1");
        assert_eq!(link.as_deref(), Some("https://app.example.com/password-reset#token=pwr_1"));
        assert_eq!(with("").link(LinkPage::Invitation, "inv_1"), None);
    }
}
