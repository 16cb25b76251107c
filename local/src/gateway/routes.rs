//! Which function answers: API Gateway's rules for HTTP APIs. The most specific path wins, `{name+}` comes after all
//! others, a method before ANY, and `$default` is last.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Result, bail};
use percent_encoding::percent_decode_str;

use crate::lambda::Lambda;

/// The routes.
#[derive(Debug, Default)]
pub struct Routes {
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

/// In the order of their weight.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Greedy(String),
    Parameter(String),
    Fixed(String),
}

/// A route that fits a request.
#[derive(Debug)]
pub struct Found {
    /// As the template has it.
    pub key: String,
    /// The values of the path's parameters, decoded.
    pub parameters: BTreeMap<String, String>,
    /// Who answers.
    pub lambda: Arc<Lambda>,
}

impl Routes {
    /// Adds a route: `GET /health`, or `$default`.
    ///
    /// # Errors
    /// A route that another function has.
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

    /// Finds who answers a request; the path as it was sent.
    #[must_use]
    pub fn find(&self, method: &str, path: &str) -> Option<Found> {
        let asked: Vec<_> = segments(path).collect();
        let fitting = self.routes.iter().filter(|route| route.method == method || route.method == "ANY");
        let best = fitting
            .filter_map(|route| Some((route, route.parameters(&asked)?)))
            .max_by_key(|(route, _)| (route.weight(), route.method == method));
        if let Some((route, parameters)) = best {
            return Some(Found { key: route.key.clone(), parameters, lambda: Arc::clone(&route.lambda) });
        }
        let lambda = Arc::clone(self.default.as_ref()?);
        Some(Found { key: "$default".to_owned(), parameters: BTreeMap::new(), lambda })
    }
}

impl Route {
    fn weight(&self) -> Vec<u8> {
        let weigh = |segment: &Segment| match segment {
            Segment::Greedy(_) => 0,
            Segment::Parameter(_) => 1,
            Segment::Fixed(_) => 2,
        };
        self.path.iter().map(weigh).collect()
    }

    fn parameters(&self, asked: &[&str]) -> Option<BTreeMap<String, String>> {
        let mut parameters = BTreeMap::new();
        let mut rest = asked;
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
        let mut routes = Routes::default();
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
