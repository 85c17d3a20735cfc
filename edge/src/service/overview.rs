//! What the page and `edge_info` show: the chain's head, who is there, grants, deliveries, complaints. All of it is public
//! on chain; nothing here counts a record or a patient.

use serde::Serialize;
use serde_json::{Value, json};

use super::{Edge, now_secs, owner::GrantView};
use crate::{
    error::EdgeError,
    onchain::InstId,
    supervision::{ruling_name, severity_name},
};

/// One part of the edge and whether it works.
#[derive(Debug, Clone, Serialize)]
pub struct Part {
    /// Its name.
    pub name: &'static str,
    /// It works.
    pub ok: bool,
    /// Its state, in words.
    pub state: String,
}

impl Edge {
    /// `edge_info`: what this edge is.
    ///
    /// # Errors
    /// [`EdgeError::Chain`] if the node does not answer.
    pub async fn info(&self) -> Result<Value, EdgeError> {
        let head = self.inner.chain.head().await?;
        Ok(json!({
            "version": env!("CARGO_PKG_VERSION"),
            "institution": self.inner.institution,
            "name": self.inner.name,
            "mode": "institution",
            "chainId": self.inner.chain.chain_id(),
            "head": head.number,
            "lagSecs": now_secs().saturating_sub(head.timestamp),
            "finality": self.inner.finality.as_str(),
        }))
    }

    /// Each part of the edge with its state.
    pub(crate) async fn health(&self) -> Vec<Part> {
        let chain = match self.chain_facts().await {
            Ok(facts) => match crate::access::check_chain(&facts) {
                Ok(()) => (true, format!("newest block {} s old", facts.head_age_secs)),
                Err(class) => (false, class.title.to_owned()),
            },
            Err(error) => (false, error.to_string()),
        };
        let logs = match self.inner.follower.head() {
            Some(head) => (true, format!("read up to block {}", head.number)),
            None => (false, "being read again from block 0".to_owned()),
        };
        vec![
            Part { name: "chain", ok: chain.0, state: chain.1 },
            Part { name: "logs", ok: logs.0, state: logs.1 },
        ]
    }

    /// `edge_overview`: everything the page shows.
    ///
    /// # Errors
    /// [`EdgeError::Chain`] if the node does not answer.
    pub async fn overview(&self) -> Result<Value, EdgeError> {
        let inner = &self.inner;
        let head = inner.chain.head().await?;
        let last = self.final_head().await?;
        let rows: Vec<(InstId, String, String, u64)> = inner.follower.read(|tables| {
            let rows = tables.institutions.iter();
            rows.map(|(id, row)| (*id, row.name.clone(), row.endpoint.clone(), row.suspended_until))
                .collect()
        });
        let mut institutions = Vec::new();
        for (id, name, endpoint, suspended_until) in rows {
            let standing = self.standing(id).await?;
            let batches: Vec<Value> = inner.follower.read(|tables| {
                let own = tables.batches.iter().filter(|((inst, _), _)| *inst == id);
                own.map(|((_, seq), batch)| {
                    json!({"seq": seq, "root": batch.root, "sizeLog2": batch.size_log2,
                           "block": batch.block_number})
                })
                .collect()
            });
            institutions.push(json!({
                "id": id, "name": name, "endpoint": endpoint,
                "suspendedUntil": suspended_until, "standing": standing, "batches": batches,
            }));
        }
        let (grants, deliveries, cases) = self.public_rows();
        Ok(json!({
            "edge": {
                "institution": inner.institution, "name": inner.name, "account": self.account(),
                "endpoint": inner.endpoint, "finality": inner.finality.as_str(),
            },
            "chain": {
                "chainId": inner.chain.chain_id(), "genesisHash": inner.chain.genesis_hash(),
                "rpc": inner.chain.rpc().url(), "head": head.number, "hash": head.hash,
                "timestamp": head.timestamp, "final": last.number, "now": now_secs(),
            },
            "institutions": institutions, "grants": grants, "deliveries": deliveries,
            "cases": cases,
        }))
    }

    /// Grants, deliveries and cases, newest change first.
    fn public_rows(&self) -> (Vec<GrantView>, Vec<Value>, Vec<Value>) {
        self.inner.follower.read(|tables| {
            let mut grants: Vec<GrantView> =
                tables.grants.iter().map(|(id, grant)| GrantView::of(*id, grant)).collect();
            grants.sort_by_key(|view| std::cmp::Reverse(view.changed_block));
            let mut deliveries: Vec<_> = tables.deliveries.iter().collect();
            deliveries.sort_by_key(|(_, delivery)| std::cmp::Reverse(delivery.changed_block));
            let deliveries = deliveries
                .into_iter()
                .map(|(id, delivery)| {
                    json!({
                        "deliveryId": id, "grantId": delivery.grant_id, "seq": delivery.seq,
                        "state": delivery.state_name(), "verdict": delivery.verdict,
                        "fault": delivery.fault, "block": delivery.changed_block,
                    })
                })
                .collect();
            let cases = tables
                .cases
                .iter()
                .map(|(id, case)| {
                    let steps: Vec<Value> = case
                        .steps
                        .iter()
                        .map(|step| json!({"what": step.what, "block": step.block_number}))
                        .collect();
                    json!({
                        "caseId": id, "complainant": case.complainant,
                        "respondent": case.respondent, "kind": case.kind, "subject": case.subject,
                        "ruling": ruling_name(case.ruling.unwrap_or(0)),
                        "severity": severity_name(case.severity.unwrap_or(0)),
                        "fault": case.fault, "steps": steps,
                    })
                })
                .collect();
            (grants, deliveries, cases)
        })
    }
}
