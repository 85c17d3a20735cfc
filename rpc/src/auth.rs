//! Who may speak to this listener: Host, Origin and CORS.
//!
//! CORS alone guards neither WebSockets nor a name that is re-pointed at 127.0.0.1 (DNS rebinding),
//! so the Host header is checked on every request and the Origin header on every upgrade. A plain
//! POST with a foreign Origin is answered without CORS headers: a page cannot read the answer, a
//! wallet extension can.

use http::{HeaderMap, HeaderValue, header};

/// Origins that a development chain trusts: pages on this machine and the Remix editor.
const DEV_ORIGINS: [&str; 1] = ["https://remix.ethereum.org"];

/// Which hosts and origins a listener accepts.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    /// Names beside `localhost` and IP literals that may stand in the Host header.
    pub vhosts: Vec<String>,
    /// Exact origins that may open WebSockets and read answers; `*` is any.
    pub origins: Vec<String>,
    /// Origins that may open WebSockets although they may read no answers over HTTP.
    pub upgrades: Vec<String>,
    /// True for a development chain: any port of this machine and Remix are origins too.
    pub is_dev: bool,
}

impl Gate {
    /// True if the Host header names this machine or a configured name.
    pub fn is_host_allowed(&self, headers: &HeaderMap) -> bool {
        let Some(host) = headers.get(header::HOST).and_then(|value| value.to_str().ok()) else {
            return false;
        };
        let name = host_name(host);
        let is_literal = name.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
        is_literal
            || name.eq_ignore_ascii_case("localhost")
            || self
                .vhosts
                .iter()
                .any(|allowed| allowed == "*" || name.eq_ignore_ascii_case(allowed))
    }

    /// True if a page of this origin may open a WebSocket; no Origin header means no page.
    pub fn is_upgrade_allowed(&self, headers: &HeaderMap) -> bool {
        headers.get(header::ORIGIN).is_none_or(|origin| {
            let is_named = |named: &String| named == "*" || named.as_bytes() == origin.as_bytes();
            self.is_origin_allowed(origin) || self.upgrades.iter().any(is_named)
        })
    }

    /// True if a page of this origin may read answers.
    pub fn is_origin_allowed(&self, origin: &HeaderValue) -> bool {
        let Ok(origin) = origin.to_str() else { return false };
        let is_listed = self.origins.iter().any(|allowed| allowed == "*" || allowed == origin);
        is_listed || (self.is_dev && (DEV_ORIGINS.contains(&origin) || is_local_page(origin)))
    }

    /// True if any page at all may read answers, so that preflights are worth answering.
    pub fn has_cors(&self) -> bool {
        self.is_dev || !self.origins.is_empty()
    }

    /// Adds the CORS headers of an allowed origin to an answer.
    pub fn add_cors(&self, origin: Option<&HeaderValue>, out: &mut HeaderMap) {
        let Some(origin) = origin.filter(|origin| self.is_origin_allowed(origin)) else { return };
        out.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        out.insert(header::VARY, HeaderValue::from_static("origin"));
    }

    /// Adds what a preflight asks for.
    pub fn add_preflight(&self, out: &mut HeaderMap) {
        let fields = [
            (header::ACCESS_CONTROL_ALLOW_METHODS, "POST, GET"),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, "content-type, authorization"),
            (header::ACCESS_CONTROL_MAX_AGE, "600"),
            (http::HeaderName::from_static("access-control-allow-private-network"), "true"),
        ];
        for (name, value) in fields {
            out.insert(name, HeaderValue::from_static(value));
        }
    }
}

/// The name in `name`, `name:port`, `[v6]` and `[v6]:port`.
fn host_name(host: &str) -> &str {
    match host.find(']') {
        Some(end) => &host[..=end],
        None => host.split(':').next().unwrap_or(host),
    }
}

/// `http://localhost:*` and `http://127.0.0.1:*`.
fn is_local_page(origin: &str) -> bool {
    let Some(authority) = origin.strip_prefix("http://") else { return false };
    let (name, port) = authority.split_once(':').unwrap_or((authority, "80"));
    ["localhost", "127.0.0.1"].contains(&name) && port.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn hosts() {
        let gate = Gate { vhosts: vec!["rpc.example".to_owned()], ..Gate::default() };
        let check = |host| gate.is_host_allowed(&headers(header::HOST, host));
        for host in ["localhost", "localhost:8545", "127.0.0.1:1", "[::1]:8545", "RPC.example:80"] {
            assert!(check(host), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "", "127.0.0.1.evil.example:80"] {
            assert!(!check(host), "{host}");
        }
        assert!(!gate.is_host_allowed(&HeaderMap::new()));
    }

    #[test]
    fn origins() {
        let dev = Gate { is_dev: true, ..Gate::default() };
        let check = |gate: &Gate, origin| gate.is_upgrade_allowed(&headers(header::ORIGIN, origin));
        for origin in ["http://localhost:3000", "http://127.0.0.1:80", "https://remix.ethereum.org"]
        {
            assert!(check(&dev, origin), "{origin}");
            assert!(!check(&Gate::default(), origin), "{origin}");
        }
        for origin in
            ["http://localhost.evil:80", "http://localhost:x", "https://evil.example", "null"]
        {
            assert!(!check(&dev, origin), "{origin}");
        }
        assert!(Gate::default().is_upgrade_allowed(&HeaderMap::new()), "no page, no origin");
        let listed = Gate { origins: vec!["https://a.example".to_owned()], ..Gate::default() };
        assert!(check(&listed, "https://a.example"));
        assert!(!check(&listed, "https://a.example.evil"));
        let upgrades = vec!["https://b.example".to_owned()];
        let named = Gate { upgrades, ..Gate::default() };
        assert!(check(&named, "https://b.example") && !check(&named, "https://a.example"));
        assert!(!named.is_origin_allowed(&HeaderValue::from_static("https://b.example")));
    }
}
