//! A proxy before a backend of the functions, and the settings that route the functions through it.

use std::ops::Deref;

use local::testing::{self, FaultProxy};
use shared::settings::SettingsMap;

use super::pooler;

/// A proxy to a backend, with the functions' settings for it.
pub(crate) struct BackendProxy {
    proxy: FaultProxy,
    settings: SettingsMap,
}

impl BackendProxy {
    /// Starts a proxy between the functions and their database, or PgBouncer when the tests use it.
    pub(crate) async fn for_database() -> Self {
        let mut settings = pooler::settings().await;
        if settings.is_empty() {
            let direct = testing::database_urls("{database}").await.unwrap();
            settings.insert("DATABASE_URL".to_owned(), direct.app);
            settings.insert("SYSTEM_DATABASE_URL".to_owned(), direct.system);
        }
        // postgresql://role:password@127.0.0.1:5432/{database}
        let server = settings["DATABASE_URL"].split(['@', '/']).nth(3).unwrap().to_owned();
        let proxy = FaultProxy::start(server.clone()).await.unwrap();
        let address = proxy.address().to_string();
        let settings = settings.into_iter().map(|(name, url)| (name, url.replace(&server, &address))).collect();
        Self { proxy, settings }
    }

    /// Starts a proxy between the functions and S3, SQS and Secrets Manager.
    pub(crate) async fn for_aws() -> Self {
        let endpoint = testing::servers().await.unwrap().aws.endpoint().to_owned();
        let proxy = FaultProxy::start(endpoint.trim_start_matches("http://")).await.unwrap();
        let settings = [("AWS_ENDPOINT_URL".to_owned(), format!("http://{}", proxy.address()))];
        Self { proxy, settings: settings.into() }
    }

    /// The settings that route the functions through the proxy.
    pub(crate) fn settings(&self) -> Vec<(&str, &str)> {
        self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }
}

impl Deref for BackendProxy {
    type Target = FaultProxy;

    fn deref(&self) -> &FaultProxy {
        &self.proxy
    }
}
