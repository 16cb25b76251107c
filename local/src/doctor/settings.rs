//! The settings themselves: present, of the right form, and meant. The functions' own readers decide.

use std::collections::{BTreeMap, BTreeSet};

use percent_encoding::percent_decode_str;
use shared::{
    aws,
    settings::{SettingKind, SettingsMap, SettingsRead},
};
use url::Url;

use super::{Target, report::Outcome};
use crate::{functions, settings::descriptions};

/// Shortest secret that is replaced in texts. A shorter one is part of common words.
const MIN_SECRET_CHARS: usize = 6;

/// Settings that point the functions to stand-ins. A deployment has none of them.
const STAND_IN_SETTINGS: [&str; 4] =
    ["AWS_ENDPOINT_URL", "STRIPE_BASE_URL", "MANYCHAT_BASE_URL", "OUTBOUND_LOCAL_SITES"];

/// Adds the keys of the secrets that SECRET_ARN and the target name, as the functions do when they start.
pub(super) async fn add_secrets(target: &mut Target) -> Vec<Outcome> {
    let own = target.settings.remove(aws::SECRET_ARN).filter(|arn| !arn.trim().is_empty());
    let names: Vec<_> = own.into_iter().chain(std::mem::take(&mut target.secrets)).collect();
    if names.is_empty() {
        return vec![Outcome::skipped("none is named: all settings come from the environment or the file")];
    }
    let mut outcomes = Vec::new();
    for name in names {
        let before = target.settings.len();
        let mut settings = target.settings.clone();
        settings.insert(aws::SECRET_ARN.to_owned(), name.clone());
        match aws::with_secret(settings).await {
            Ok(mut with_secret) => {
                with_secret.remove(aws::SECRET_ARN);
                outcomes.push(Outcome::Ok(format!("{} settings come from {name}", with_secret.len() - before)));
                target.settings = with_secret;
            }
            Err(error) => {
                let reason = super::aws::code_of(error.as_ref()).unwrap_or_else(|| error.to_string());
                let advice = "Are the AWS credentials and AWS_REGION those of the deployment? Without a secret, all settings \
                              can stand in the file of --env-file.";
                outcomes.push(Outcome::error(format!("the secret {name} cannot be read: {reason}"), advice));
            }
        }
    }
    outcomes
}

/// What each function reads of the settings.
pub(super) fn read_by_functions(settings: &SettingsMap) -> Vec<(&'static str, SettingsRead)> {
    functions::ALL.iter().map(|function| (function.name, function.settings_with(settings.clone()))).collect()
}

/// Checks that each function would start with these settings.
pub(super) fn check(target: &Target, read: &[(&'static str, SettingsRead)]) -> Vec<Outcome> {
    let mut readers = BTreeMap::<&str, Vec<&str>>::new();
    for (function, read) in read {
        for problem in &read.problems {
            readers.entry(problem).or_default().push(function);
        }
    }
    let described = descriptions().unwrap_or_default();
    let mut outcomes: Vec<_> = readers
        .into_iter()
        // The credentials of Lambda's own role are no setting of a deployment.
        .filter(|(problem, _)| target.is_local() || !problem.starts_with("AWS_"))
        .map(|(problem, functions)| Outcome::error(problem, advice(problem, &functions, &described)))
        .collect();
    let names: BTreeSet<_> = read.iter().flat_map(|(_, read)| read.names()).collect();
    let unknown =
        target.names_in_file.iter().filter(|name| !names.contains(name.as_str()) && !name.starts_with("AWS_"));
    outcomes.extend(unknown.map(|name| {
        let advice = "Is its name misspelt? docs/SETTINGS.md lists all settings. A setting of a provider that is not chosen \
                      is not read either.";
        Outcome::warning(format!("no function reads {name}"), advice)
    }));
    if !target.is_local() {
        outcomes.extend(STAND_IN_SETTINGS.iter().filter(|name| target.get(name).is_some()).map(|name| {
            let advice = "It points the functions to a stand-in. Remove it from a deployment.";
            Outcome::warning(format!("{name} is set"), advice)
        }));
    }
    if !outcomes.iter().any(Outcome::is_error) {
        let set = names.iter().filter(|name| target.get(name).is_some()).count();
        let ok = format!("{} functions start with the {set} settings that are set", read.len());
        outcomes.insert(0, Outcome::Ok(ok));
    }
    outcomes
}

/// What to do about a problem: which functions it stops, and the descriptions of the settings that it names.
fn advice(problem: &str, functions: &[&str], described: &BTreeMap<String, String>) -> String {
    let stopped = match functions {
        [one] => format!("{one} does not start."),
        many if many.len() > 4 => format!("{} functions do not start, {} among them.", many.len(), many[0]),
        many => format!("{} do not start.", many.join(", ")),
    };
    let names = problem.split(|char: char| !char.is_ascii_alphanumeric() && char != '_');
    let texts = names.filter_map(|name| Some(format!(" {name}: {}", described.get(name)?)));
    stopped + &texts.collect::<String>()
}

/// The secrets among the settings, in each form in which a text could show them, the longest first.
pub(super) fn secret_values(settings: &SettingsMap, read: &[(&'static str, SettingsRead)]) -> Vec<String> {
    let specs: BTreeSet<_> = read.iter().flat_map(|(_, read)| &read.specs).collect();
    let mut secrets = BTreeSet::new();
    for spec in specs {
        let Some(value) = settings.get(spec.name).map(|value| value.trim()) else { continue };
        match spec.kind {
            SettingKind::Secret => _ = secrets.insert(value.to_owned()),
            SettingKind::SecretList => {
                secrets.insert(value.to_owned());
                for part in value.split(',').map(str::trim) {
                    secrets.insert(part.to_owned());
                    // A sealing key has its id before it.
                    secrets.extend(part.split_once(':').map(|(_, key)| key.to_owned()));
                }
            }
            SettingKind::ConnectionString => {
                let url = Url::parse(value).ok();
                let password = url.as_ref().and_then(Url::password).unwrap_or_default();
                secrets.insert(password.to_owned());
                secrets.insert(percent_decode_str(password).decode_utf8_lossy().into_owned());
            }
            SettingKind::Text
            | SettingKind::Url
            | SettingKind::Number
            | SettingKind::Seconds
            | SettingKind::LogLevel
            | SettingKind::List
            | SettingKind::Json => {}
        }
    }
    let mut secrets: Vec<_> = secrets.into_iter().filter(|secret| secret.chars().count() >= MIN_SECRET_CHARS).collect();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets
}

#[cfg(test)]
mod tests {
    use super::*;

    // Asynchronous because reading the settings creates clients that need a Tokio runtime.
    #[tokio::test]
    async fn secrets_are_found_in_lists_sealing_keys_and_connection_strings() {
        let settings = [
            ("DATABASE_URL", "postgresql://lisa_app:p%40ss-word@127.0.0.1:5432/lisa"),
            ("JWT_SECRET", "first-secret, second-secret"),
            ("SEALING_KEYS", "2026-11:c2VjcmV0LWtleQ=="),
            ("STRIPE_SECRET_KEY", "sk_test_1234"),
            ("ENVIRONMENT", "production"),
        ];
        let settings: SettingsMap = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let secrets = secret_values(&settings, &read_by_functions(&settings));
        for secret in ["p%40ss-word", "p@ss-word", "first-secret", "second-secret", "c2VjcmV0LWtleQ==", "sk_test_1234"]
        {
            assert!(secrets.iter().any(|found| found == secret), "{secret}: {secrets:?}");
        }
        assert!(!secrets.iter().any(|found| found == "production"));
    }
}
