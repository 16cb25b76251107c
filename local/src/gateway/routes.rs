//! Route matching by API Gateway's rules for HTTP APIs: the most specific path wins, `{name+}` matches last, a method
//! wins over ANY, and `$default` takes the rest.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Result, bail};
use percent_encoding::percent_decode_str;

use crate::lambda::Lambda;

/// The routes of all functions.
#[derive(Debug, Default)]
pub struct RouteTable {
    routes: Vec<Route>,
    default: Option<Arc<Lambda>>,
}

#[derive(Debug)]
struct Route {
    key: String,
    method: String,
    path: Vec<Segment>,
    lambda: Arc<Lambda>,
}

/// A path segment. The variants are in the order of rising specificity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Greedy(String),
    Parameter(String),
    Fixed(String),
}

/// A route that matches a request.
#[derive(Debug)]
pub struct RouteMatch {
    /// The route key of the template, such as `GET /a/{id}`.
    pub key: String,
    /// The decoded path parameters.
    pub parameters: BTreeMap<String, String>,
    /// The function that handles the request.
    pub lambda: Arc<Lambda>,
}

/// The key of the route that takes what no other route takes.
const DEFAULT_KEY: &str = "$default";

impl RouteMatch {
    /// True when no route of the API matches the request.
    pub(super) fn is_default(&self) -> bool {
        self.key == DEFAULT_KEY
    }
}

impl RouteTable {
    /// Adds a route, such as `GET /health` or `$default`.
    ///
    /// # Errors
    /// Fails when another function has the route.
    pub fn insert(&mut self, key: &str, lambda: Arc<Lambda>) -> Result<()> {
        let Some((method, path)) = key.split_once(' ') else {
            if let Some(other) = self.default.replace(lambda) {
                bail!("two functions have the route {key}, one of them {}", other.name());
            }
            return Ok(());
        };
        if let Some(other) = self.routes.iter().find(|route| route.key == key) {
            bail!("two functions have the route {key}: {} and {}", other.lambda.name(), lambda.name());
        }
        let path = segments(path).map(Segment::read).collect();
        self.routes.push(Route { key: key.to_owned(), method: method.to_owned(), path, lambda });
        Ok(())
    }

    /// Finds the route of a request. `path` is percent-encoded, as received.
    #[must_use]
    pub fn find(&self, method: &str, path: &str) -> Option<RouteMatch> {
        let parts: Vec<_> = segments(path).collect();
        let candidates = self.routes.iter().filter(|route| route.method == method || route.method == "ANY");
        let best = candidates
            .filter_map(|route| Some((route, route.parameters(&parts)?)))
            .max_by_key(|(route, _)| (route.specificity(), route.method == method));
        if let Some((route, parameters)) = best {
            return Some(RouteMatch { key: route.key.clone(), parameters, lambda: Arc::clone(&route.lambda) });
        }
        let lambda = Arc::clone(self.default.as_ref()?);
        Some(RouteMatch { key: DEFAULT_KEY.to_owned(), parameters: BTreeMap::new(), lambda })
    }
}

impl Route {
    fn specificity(&self) -> Vec<u8> {
        let rank = |segment: &Segment| match segment {
            Segment::Greedy(_) => 0,
            Segment::Parameter(_) => 1,
            Segment::Fixed(_) => 2,
        };
        self.path.iter().map(rank).collect()
    }

    fn parameters(&self, parts: &[&str]) -> Option<BTreeMap<String, String>> {
        let mut parameters = BTreeMap::new();
        let mut rest = parts;
        for segment in &self.path {
            let (first, others) = rest.split_first()?;
            match segment {
                Segment::Fixed(text) if text == first => {}
                Segment::Fixed(_) => return None,
                Segment::Parameter(_) if first.is_empty() => return None,
                Segment::Parameter(name) => {
                    parameters.insert(name.clone(), decoded(first));
                }
                Segment::Greedy(name) => {
                    parameters.insert(name.clone(), decoded(&rest.join("/")));
                    return Some(parameters);
                }
            }
            rest = others;
        }
        rest.is_empty().then_some(parameters)
    }
}

impl Segment {
    fn read(text: &str) -> Self {
        match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
            None => Self::Fixed(text.to_owned()),
            Some(name) => match name.strip_suffix('+') {
                Some(name) => Self::Greedy(name.to_owned()),
                None => Self::Parameter(name.to_owned()),
            },
        }
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.strip_prefix('/').unwrap_or(path).split('/')
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use shared::settings::SettingsMap;

    use super::*;

    #[test]
    fn the_most_specific_route_wins() {
        let mut routes = RouteTable::default();
        let lambda = Arc::new(Lambda::new(health::FUNCTION, Duration::from_secs(1), SettingsMap::new()));
        for key in ["GET /a/{id}", "GET /a/b", "ANY /a/b", "GET /a/{rest+}", "POST /a/{id}/retry", "$default"] {
            routes.insert(key, Arc::clone(&lambda)).unwrap();
        }
        let found = |method: &str, path: &str| {
            let found = routes.find(method, path).unwrap();
            (found.key, found.parameters.into_values().next().unwrap_or_default())
        };
        for (method, path, key, parameter) in [
            ("GET", "/a/b", "GET /a/b", ""),
            ("PUT", "/a/b", "ANY /a/b", ""),
            ("GET", "/a/c%20d", "GET /a/{id}", "c d"),
            ("GET", "/a/c/d", "GET /a/{rest+}", "c/d"),
            ("POST", "/a/c/retry", "POST /a/{id}/retry", "c"),
            ("POST", "/a//retry", "$default", ""),
            ("DELETE", "/a/c", "$default", ""),
            ("GET", "/", "$default", ""),
        ] {
            assert_eq!(found(method, path), (key.to_owned(), parameter.to_owned()), "{method} {path}");
        }
        assert!(routes.insert("GET /a/b", lambda).is_err());
    }
}
