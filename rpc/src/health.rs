//! `/liveness` and `/readiness`: is the node alive, and should clients be sent here. Names and parameters are Besu's.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::{
    body::Body,
    response::{IntoResponse as _, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::context::Context;

/// Path of the first question.
pub(crate) const LIVENESS: &str = "/liveness";
/// Path of the second.
pub(crate) const READINESS: &str = "/readiness";
/// The writer answers within this time, or it hangs.
const ALIVE_TIME: Duration = Duration::from_secs(1);
/// Peers that a node needs, unless it is the only signer.
const MIN_PEERS: u64 = 1;
/// Periods after which a head is old.
const HEAD_AGE_PERIODS: u64 = 3;

/// 200 if the thread that writes the chain answers within a second.
pub(crate) async fn liveness(context: &Context) -> Response {
    let is_alive = tokio::time::timeout(ALIVE_TIME, context.node.ping()).await.unwrap_or(false);
    answer(is_alive, json!({"alive": is_alive}))
}

/// 200 if peers, head and store are as they should be; the body says which are not.
pub(crate) fn readiness(context: &Context, query: &str) -> Response {
    let Ok(asked) = Asked::read(query) else {
        let text = "minPeers and maxBlocksBehind are numbers";
        return (StatusCode::BAD_REQUEST, text).into_response();
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let node = &context.node;
    let head = context.chain().head();
    let period = context.spec().clique.map_or(0, |clique| clique.period_secs);
    let age = now.saturating_sub(head.block.header().timestamp);
    let min_peers = asked.min_peers.unwrap_or(if is_only_signer(context) { 0 } else { MIN_PEERS });
    let checks = json!({
        "peers": node.peer_count() >= min_peers,
        "syncing": true,
        "head": period == 0 || age <= HEAD_AGE_PERIODS.saturating_mul(period),
        "store": !node.is_read_only(),
    });
    let is_ready = checks.as_object().is_some_and(|all| all.values().all(|check| check == true));
    answer(is_ready, json!({"ready": is_ready, "checks": checks}))
}

/// A chain of one signer that is sealed here needs nobody.
fn is_only_signer(context: &Context) -> bool {
    let snapshot = context.chain().snapshot(context.head_hash());
    let signer = context.node.signer();
    snapshot.is_ok_and(|snapshot| {
        snapshot.signers.len() == 1 && signer.is_some_and(|own| snapshot.signers.contains(&own))
    })
}

fn answer(is_well: bool, body: Value) -> Response {
    let status = if is_well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// The numbers of the query.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    min_peers: Option<u64>,
}

impl Asked {
    fn read(query: &str) -> Result<Self, std::num::ParseIntError> {
        let mut asked = Self::default();
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match name {
                "minPeers" => asked.min_peers = Some(value.parse()?),
                // nobody is ahead as long as there are no peers to learn it from
                "maxBlocksBehind" => drop(value.parse::<u64>()?),
                _ => {}
            }
        }
        Ok(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_name_numbers() {
        assert_eq!(Asked::read(""), Ok(Asked::default()));
        let asked = Asked::read("minPeers=3&maxBlocksBehind=2&other=x");
        assert_eq!(asked, Ok(Asked { min_peers: Some(3) }));
        assert!(Asked::read("minPeers=x").is_err() && Asked::read("maxBlocksBehind=-1").is_err());
    }
}
